//! The operations that are measured, in a form that belongs to no contender.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use uuid::{Uuid, uuid};

use super::fold::{Fold, Head};

/// Gives a data set, or says why it is not there.
type Load = fn() -> Result<Vec<Sample>, String>;

pub(crate) const DATA_SETS: [(&str, Load); 2] = [("trace", trace), ("bug", || Ok(bugs()))];

pub(crate) struct Sample {
    pub(crate) node: Uuid,
    pub(crate) node_seq: u64,
    pub(crate) counter: u64,
    pub(crate) writer: Uuid,
    pub(crate) kind: Kind,
    pub(crate) record: Uuid,
    pub(crate) collection: String,
    /// Ascending by name.
    pub(crate) fields: Vec<(String, Datum)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Insert = 1,
    Update = 2,
    Delete = 3,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Insert, Self::Update, Self::Delete].into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Insert),
            2 => Some(Self::Update),
            3 => Some(Self::Delete),
            _ => None,
        }
    }
}

pub(crate) enum Datum {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    List(Vec<Self>),
    /// Ascending by key.
    Map(Vec<(String, Self)>),
}

impl From<Json> for Datum {
    fn from(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => match number.as_i64() {
                Some(int) => Self::Int(int),
                None => Self::Double(number.as_f64().unwrap()),
            },
            Json::String(text) => Self::Text(text),
            Json::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Json::Object(entries) => Self::Map(sorted(entries)),
        }
    }
}

/// Entries ascending by name, whatever order the map keeps.
fn sorted(entries: serde_json::Map<String, Json>) -> Vec<(String, Datum)> {
    let mut entries: Vec<_> = entries.into_iter().map(|(key, value)| (key, value.into())).collect();
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    entries
}

impl Sample {
    /// What every contender's walk must give.
    pub(crate) fn fold(&self, fold: &mut Fold) {
        let Self { node, node_seq, counter, writer, kind, record, ref collection, ref fields } = *self;
        fold.head(&Head { node, node_seq, counter, writer, kind, record, collection });
        fold_entries(fields, fold);
    }
}

fn fold_entries(entries: &[(String, Datum)], fold: &mut Fold) {
    for (name, value) in entries {
        fold.text(name);
        fold_datum(value, fold);
    }
}

fn fold_datum(datum: &Datum, fold: &mut Fold) {
    match datum {
        Datum::Null => fold.null(),
        Datum::Bool(value) => fold.bool(*value),
        Datum::Int(value) => fold.int(*value),
        Datum::Double(value) => fold.double(*value),
        Datum::Text(text) => fold.text(text),
        Datum::List(items) => items.iter().for_each(|item| fold_datum(item, fold)),
        Datum::Map(entries) => fold_entries(entries, fold),
    }
}

/// 1,000 consecutive operations of a real edit history.
fn trace() -> Result<Vec<Sample>, String> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("BLAZEDB_TRACE_DIR").map_or_else(default, PathBuf::from);
    let file = folder.join("selfhosted-1k.ndjson");
    let text = std::fs::read_to_string(&file).map_err(|error| {
        format!("no trace at {} ({error}); BLAZEDB_TRACE_DIR names the folder that has it", file.display())
    })?;
    Ok(text.lines().zip(1..).map(|(line, number)| traced(line, number)).collect())
}

/// The robot that made most of the trace; here it delivers all of it, so that one block can hold it.
const ROBOT: Uuid = uuid!("04641b7f-985c-54d2-815b-886cb8ed97f9");

fn traced(line: &str, node_seq: u64) -> Sample {
    let mut json: Json = serde_json::from_str(line).unwrap();
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let uuid = |value: &Json| Uuid::parse_str(value.as_str().unwrap()).unwrap();
    let Json::Object(changes) = json["changes"].take() else { panic!("changes of {line}") };
    Sample {
        node: ROBOT,
        node_seq,
        counter: json["ts"]["counter"].as_u64().unwrap(),
        writer: uuid(&json["ts"]["node"]),
        kind: Kind::from_name(&text(&json["type"])).unwrap(),
        record: uuid(&json["record"]),
        collection: text(&json["collection"]),
        fields: sorted(changes),
    }
}

/// The example operation of SPEC.md 6.1, 1,000 times under different ids.
fn bugs() -> Vec<Sample> {
    let node = uuid!("550e8400-e29b-41d4-a716-446655440000");
    let bug = |node_seq: u64| Sample {
        node,
        node_seq,
        counter: 1_000 + node_seq,
        writer: node,
        kind: Kind::Insert,
        record: Uuid::from_u64_pair(
            0x1111_1111_2222_4333 ^ node_seq.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            0x8444_5555_5555_5555,
        ),
        collection: "bugs".to_owned(),
        fields: vec![
            ("priority".to_owned(), Datum::Int(5)),
            ("status".to_owned(), Datum::Text("open".to_owned())),
            ("title".to_owned(), Datum::Text("Fix login bug".to_owned())),
        ],
    };
    (1..=1_000).map(bug).collect()
}
