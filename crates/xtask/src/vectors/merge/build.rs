//! Putting merge vectors together.

use serde_json::{Map, Value as Json, json};

/// Three nodes, A < B < C. A has its greatest byte last, C first: they compare as unsigned bytes.
pub const A: &str = "0a000000-0000-4000-8000-0000000000ff";
pub const B: &str = "0b000000-0000-4000-8000-000000000000";
pub const C: &str = "fc000000-0000-4000-8000-000000000000";
pub const BUGS: &str = "bugs";
pub const RECORD: &str = "6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9";
pub const OTHER_RECORD: &str = "6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0fa";

/// One vector.
pub struct Test {
    pub id: String,
    comment: String,
    spec: Vec<&'static str>,
    pub ops: Vec<Json>,
    orders: Json,
    pub expect: Json,
}

impl Test {
    pub fn to_json(&self) -> Json {
        let Self { id, comment, spec, ops, orders, expect } = self;
        json!({ "id": id, "comment": comment, "spec": spec, "ops": ops, "orders": orders, "expect": expect })
    }

    /// The same in these orders only.
    pub fn in_orders(self, orders: Vec<Vec<usize>>) -> Self {
        Self { orders: json!(orders), ..self }
    }

    pub fn spec(&self) -> &[&'static str] {
        &self.spec
    }
}

/// The operations, in any order, leave record [`RECORD`] of [`BUGS`] with `fields`; none: it is not there.
pub fn test(
    id: &str,
    comment: &str,
    spec: &[&'static str],
    ops: Vec<Json>,
    fields: Vec<(&str, Json)>,
) -> Test {
    let expect = if fields.is_empty() { json!({}) } else { json!({ BUGS: { RECORD: list(&fields) } }) };
    expecting(id, comment, spec, ops, expect)
}

/// The same with everything that is there.
pub fn expecting(id: &str, comment: &str, spec: &[&'static str], mut ops: Vec<Json>, expect: Json) -> Test {
    for (op, number) in ops.iter_mut().zip(1..) {
        if op["node_seq"].is_null() {
            op["node_seq"] = json!(i32::to_string(&number));
        }
    }
    Test {
        id: format!("merge/{id}"),
        comment: comment.into(),
        spec: spec.into(),
        ops,
        orders: json!("all"),
        expect,
    }
}

/// Timestamp tN with that node.
#[derive(Clone, Copy)]
pub struct T(pub u64, pub &'static str);

pub const NEVER: T = T(0, "00000000-0000-0000-0000-000000000000");

impl T {
    pub fn json(self) -> Json {
        json!({ "counter": self.0.to_string(), "node": self.1 })
    }
}

/// Writes fields of the record.
pub fn write(t: T, fields: Vec<(&str, Json)>) -> Json {
    op(t, "update", list(&fields))
}

/// f = value
pub fn set(t: T, value: Json) -> Json {
    write(t, vec![("f", value)])
}

/// Writes the field f = patch {key: value, ...}.
pub fn patched<const N: usize>(t: T, entries: [(&str, Json); N]) -> Json {
    set(t, patch(entries))
}

pub fn insert(t: T, fields: Vec<(&str, Json)>) -> Json {
    op(t, "insert", list(&fields))
}

pub fn delete(t: T) -> Json {
    op(t, "delete", json!([]))
}

fn op(t: T, kind: &str, fields: Json) -> Json {
    json!({
        "node": t.1,
        "node_seq": null,
        "timestamp": t.json(),
        "kind": kind,
        "record": RECORD,
        "collection": BUGS,
        "previous": null,
        "fields": fields,
    })
}

/// The operation with something else under `key`.
pub fn with(mut op: Json, key: &str, value: impl Into<Json>) -> Json {
    op[key] = value.into();
    op
}

/// Pairs ascending by name.
pub fn list(fields: &[(&str, Json)]) -> Json {
    let mut fields = fields.to_vec();
    fields.sort_by_key(|(name, _)| *name);
    fields.into_iter().map(|(name, value)| json!([name, value])).collect()
}

/// Field f has that content.
pub fn f(value: Json) -> Vec<(&'static str, Json)> {
    vec![("f", value)]
}

/// The record is not there.
pub fn nothing() -> Vec<(&'static str, Json)> {
    Vec::new()
}

pub fn int(value: i64) -> Json {
    json!({ "type": "int", "value": value.to_string() })
}

pub fn text(value: &str) -> Json {
    json!({ "type": "string", "value": value })
}

pub fn bool(value: bool) -> Json {
    json!({ "type": "bool", "value": value })
}

pub fn double(bits: u64) -> Json {
    json!({ "type": "double", "bits": format!("{bits:016x}") })
}

pub fn null() -> Json {
    json!({ "type": "null" })
}

pub fn removed() -> Json {
    json!({ "type": "removed" })
}

pub fn sealed(hex: &str) -> Json {
    json!({ "type": "sealed", "hex": hex })
}

pub fn array<const N: usize>(items: [Json; N]) -> Json {
    json!({ "type": "array", "items": items.to_vec() })
}

pub fn dict<const N: usize>(entries: [(&str, Json); N]) -> Json {
    json!({ "type": "dictionary", "entries": list(&entries) })
}

pub fn patch<const N: usize>(entries: [(&str, Json); N]) -> Json {
    json!({ "type": "patch", "entries": list(&entries) })
}

pub fn counter(base: T, total: i64) -> Json {
    json!({ "type": "counter", "base": base.json(), "total": total.to_string() })
}

/// A file of `groups`.
pub fn file(name: &str, header: &str, groups: &[(&str, Vec<Test>)]) -> Json {
    let count: usize = groups.iter().map(|(_, tests)| tests.len()).sum();
    let groups: Vec<Json> = groups
        .iter()
        .map(|(name, tests)| json!({ "name": name, "tests": tests.iter().map(Test::to_json).collect::<Vec<_>>() }))
        .collect();
    let mut file = Map::new();
    file.insert("schema".into(), json!("merge-v1"));
    file.insert("spec_version".into(), json!("1.0"));
    file.insert("target".into(), json!("merge"));
    file.insert("header".into(), json!([header]));
    file.insert(
        "source".into(),
        json!({ "name": format!("xtask/gen-vectors/merge/{name}"), "version": "1" }),
    );
    file.insert("number_of_tests".into(), json!(count));
    file.insert("groups".into(), json!(groups));
    Json::Object(file)
}
