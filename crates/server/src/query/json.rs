//! Queries and answers as JSON, for people and scripts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use blazedb_relay::codec::Packet;
use blazedb_relay::limits::MAX_FILTER_DEPTH;
use blazedb_relay::message::{
    Aggregate, AggregateFunction, Comparison, Cursor, Direction, Extensions, Filter, Join, JoinKind, Message,
    PageEnd, PageLimit, Path, Query, QueryResponse, Selection, SortBy, SortKey,
};
use blazedb_relay::value::{Value, ValueRef};
use blazedb_relay::wire::{CollectionName, Position};
use blazedb_relay_json::{Place, parse};
use bytes::Bytes;
use serde_json::{Map, Value as Json, json};

type Object = Map<String, Json>;

/// What a body asks.
#[derive(Debug)]
pub(super) struct Question {
    collection: CollectionName,
    after: Position,
    selection: Selection,
    limit: PageLimit,
    cursor: Vec<u8>,
}

const KEYS: &[&str] =
    &["collection", "joins", "where", "group_by", "aggregates", "select", "sort", "limit", "cursor", "after"];

impl Question {
    /// Reads a body.
    ///
    /// # Errors
    /// A text that says what is wrong and where.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let json: Json =
            serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
        let query = object(&json, "the query", KEYS)?;
        let mut joins = Vec::new();
        for (number, place, item) in items(query, "joins", "joins")? {
            joins.push(join(item, &place, number + 1)?);
        }
        let of_paths = |key: &str| {
            let items = items(query, key, key)?;
            items.into_iter().map(|(_, place, item)| path(item, &place)).collect::<Result<Vec<_>, String>>()
        };
        let aggregates = items(query, "aggregates", "aggregates")?;
        let sort = items(query, "sort", "sort")?;
        let selection = Selection {
            filter: query.get("where").map_or(Ok(Filter::All), |it| filter(it, "where", 0))?,
            group_by: of_paths("group_by")?,
            projection: of_paths("select")?,
            aggregates: aggregates
                .into_iter()
                .map(|(_, place, it)| aggregate(it, &place))
                .collect::<Result<_, _>>()?,
            sort: sort.into_iter().map(|(_, place, it)| sort_key(it, &place)).collect::<Result<_, _>>()?,
            joins,
        };
        let limit = match query.get("limit") {
            None => PageLimit::DEFAULT,
            Some(limit) => {
                let limit = limit.as_u64().and_then(|limit| u32::try_from(limit).ok());
                let limit = limit.and_then(|limit| PageLimit::new(limit).ok());
                limit.ok_or("limit: rows of this page, at most 10000; 0 for the relay's default")?
            }
        };
        let cursor = match query.get("cursor") {
            None | Some(Json::Null) => Vec::new(),
            Some(cursor) => cursor
                .as_str()
                .and_then(|text| BASE64.decode(text).ok())
                .ok_or("cursor: what the page before gave, or null")?,
        };
        Ok(Self {
            collection: collection(query, "collection")?,
            after: query.get("after").map_or(Ok(Position::START), after)?,
            selection,
            limit,
            cursor,
        })
    }

    /// The query as a frame.
    ///
    /// # Errors
    /// A text that says which rule of SPEC.md 7.13 it breaks.
    pub(super) fn frame(&self, request: u32) -> Result<Bytes, String> {
        let mut buffer = Vec::new();
        let text = |error: blazedb_relay::error::BuildError| error.to_string();
        let query = Query {
            collection: (&self.collection).into(),
            after: self.after,
            selection: self.selection.encode(&mut buffer).map_err(text)?,
            limit: self.limit,
            cursor: Cursor::new(&self.cursor).map_err(text)?,
            extensions: Extensions::EMPTY,
        };
        Ok(Packet::with_id(Message::Query(query), request).map_err(text)?.to_bytes().into())
    }
}

/// A cell; of nothing, what no value looks like.
fn cell(value: ValueRef<'_>) -> Json {
    if value == ValueRef::Removed {
        json!({ "$nothing": true })
    } else {
        blazedb_relay_json::show(&Value::from(value))
    }
}

/// Adds a frame of an answer to what is shown.
pub(super) fn show(response: &QueryResponse<'_>, shown: &mut Json) {
    if shown.is_null() {
        let epoch = format!("{:016x}", response.at.epoch());
        *shown = json!({ "at": { "epoch": epoch, "seq": response.at.seq() }, "rows": [], "cursor": null });
    }
    if let Some(rows) = shown.get_mut("rows").and_then(Json::as_array_mut) {
        rows.extend(response.table.iter().map(|row| row.cells().map(cell).collect::<Vec<_>>().into()));
    }
    if let PageEnd::Last(cursor) = response.end
        && !cursor.is_empty()
        && let Some(place) = shown.get_mut("cursor")
    {
        *place = BASE64.encode(cursor.as_bytes()).into();
    }
}

/// An object that has no keys but these.
fn object<'j>(json: &'j Json, place: &str, keys: &[&str]) -> Result<&'j Object, String> {
    let known = || keys.join(", ");
    let object = json.as_object().ok_or_else(|| format!("{place}: an object with {}", known()))?;
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        None => Ok(object),
        Some(key) => Err(format!("{place}: {} is not known here; there are {}", key.escape_debug(), known())),
    }
}

/// The items of an array that may be left out, with number and place.
fn items<'j>(object: &'j Object, key: &str, place: &str) -> Result<Vec<(usize, String, &'j Json)>, String> {
    match object.get(key) {
        None => Ok(Vec::new()),
        Some(Json::Array(items)) => {
            Ok(items.iter().enumerate().map(|(i, item)| (i, format!("{place}[{i}]"), item)).collect())
        }
        Some(_) => Err(format!("{place}: an array")),
    }
}

fn collection(object: &Object, place: &str) -> Result<CollectionName, String> {
    let name = object.get("collection").and_then(Json::as_str);
    name.and_then(|name| CollectionName::new(name).ok())
        .ok_or_else(|| format!("{place}: the name of a collection"))
}

fn after(json: &Json) -> Result<Position, String> {
    let text = "after: a position, as {\"epoch\": \"16 hex digits\", \"seq\": 5}";
    let position = object(json, "after", &["epoch", "seq"])?;
    let epoch = position.get("epoch").and_then(Json::as_str);
    let epoch = epoch.and_then(|hex| u64::from_str_radix(hex, 16).ok()).ok_or(text)?;
    let seq = position.get("seq").and_then(Json::as_u64).ok_or(text)?;
    Position::new(epoch, seq).map_err(|_| text.to_owned())
}

/// A path: the name of a field; or an array of a field and keys below it, empty for the record's id; or an
/// object that names the source too.
fn path(json: &Json, place: &str) -> Result<Path, String> {
    let text = || {
        format!(
            "{place}: a path, as \"field\", [\"field\", \"key\"], [] for the id, or \
             {{\"source\": 1, \"path\": ...}} for the record of a join"
        )
    };
    #[allow(clippy::wildcard_enum_match_arm, reason = "what is no array has no items")]
    let components = |json: &Json| match json {
        Json::String(field) => Some(vec![field.as_str().into()]),
        json => json.as_array()?.iter().map(|item| Some(item.as_str()?.into())).collect(),
    };
    let (source, json) = if json.is_object() {
        let object = object(json, place, &["source", "path"])?;
        let source = object.get("source").and_then(Json::as_u64).and_then(|it| u8::try_from(it).ok());
        (source.ok_or_else(text)?, object.get("path").ok_or_else(text)?)
    } else {
        (0, json)
    };
    Ok(Path { source, components: components(json).ok_or_else(text)? })
}

fn path_of(object: &Object, key: &str, place: &str) -> Result<Path, String> {
    let place = format!("{place}.{key}");
    path(object.get(key).ok_or_else(|| format!("{place}: is missing"))?, &place)
}

fn join(json: &Json, place: &str, number: usize) -> Result<Join, String> {
    let object = object(json, place, &["kind", "collection", "left", "right"])?;
    let kind = match object.get("kind").and_then(Json::as_str) {
        Some("inner") => JoinKind::Inner,
        Some("left") => JoinKind::Left,
        _ => return Err(format!("{place}.kind: inner or left")),
    };
    let mut right = path_of(object, "right", place)?;
    // It cannot be another one (QRY-4).
    right.source = u8::try_from(number).unwrap_or(u8::MAX);
    let left = path_of(object, "left", place)?;
    Ok(Join { kind, collection: collection(object, &format!("{place}.collection"))?, left, right })
}

fn aggregate(json: &Json, place: &str) -> Result<Aggregate, String> {
    let object = object(json, place, &["function", "path"])?;
    let function = match object.get("function").and_then(Json::as_str) {
        Some("count") => AggregateFunction::Count,
        Some("sum") => AggregateFunction::Sum,
        Some("avg") => AggregateFunction::Average,
        Some("min") => AggregateFunction::Minimum,
        Some("max") => AggregateFunction::Maximum,
        _ => return Err(format!("{place}.function: count, sum, avg, min or max")),
    };
    Ok(Aggregate { function, path: path_of(object, "path", place)? })
}

fn sort_key(json: &Json, place: &str) -> Result<SortKey, String> {
    let object = object(json, place, &["path", "aggregate", "descending"])?;
    let by = match (object.get("path"), object.get("aggregate")) {
        (Some(json), None) => SortBy::Path(path(json, &format!("{place}.path"))?),
        (None, Some(index)) => {
            let index = index.as_u64().and_then(|index| u8::try_from(index).ok());
            SortBy::Aggregate(index.ok_or_else(|| format!("{place}.aggregate: its number, from 0"))?)
        }
        _ => return Err(format!("{place}: either path or aggregate")),
    };
    let direction = match object.get("descending") {
        None | Some(Json::Bool(false)) => Direction::Ascending,
        Some(Json::Bool(true)) => Direction::Descending,
        Some(_) => return Err(format!("{place}.descending: true or false")),
    };
    Ok(SortKey { by, direction })
}

/// An expression inside `open` others.
fn filter(json: &Json, place: &str, open: usize) -> Result<Filter, String> {
    if open > MAX_FILTER_DEPTH {
        return Err(format!("{place}: at most {MAX_FILTER_DEPTH} of and, or and not inside one another"));
    }
    let known = ["and", "or", "not", "op", "path", "value", "values", "low", "high"];
    let object = object(json, place, &known)?;
    let inner = |key: &str| {
        let place = format!("{place}.{key}");
        let items = items(object, key, &place)?;
        items
            .into_iter()
            .map(|(_, place, item)| filter(item, &place, open + 1))
            .collect::<Result<_, String>>()
    };
    match (object.get("and"), object.get("or"), object.get("not"), object.len()) {
        (Some(_), _, _, 1) => return Ok(Filter::And(inner("and")?)),
        (_, Some(_), _, 1) => return Ok(Filter::Or(inner("or")?)),
        (_, _, Some(operand), 1) => {
            return Ok(Filter::Not(filter(operand, &format!("{place}.not"), open + 1)?.into()));
        }
        _ => {}
    }
    let op = object.get("op").and_then(Json::as_str).unwrap_or_default();
    let path = || path_of(object, "path", place);
    let value = |key: &str| {
        let place = format!("{place}.{key}");
        parse(object.get(key).ok_or_else(|| format!("{place}: is missing"))?, Place::Content, &place)
    };
    let compare = |comparison| Ok(Filter::Compare(comparison, path()?, value("value")?));
    match op {
        "=" => compare(Comparison::Equal),
        "!=" => compare(Comparison::NotEqual),
        "<" => compare(Comparison::Less),
        "<=" => compare(Comparison::LessOrEqual),
        ">" => compare(Comparison::Greater),
        ">=" => compare(Comparison::GreaterOrEqual),
        "in" => {
            let values = items(object, "values", &format!("{place}.values"))?;
            let values = values.into_iter().map(|(_, place, item)| parse(item, Place::Content, &place));
            Ok(Filter::In(path()?, values.collect::<Result<_, _>>()?))
        }
        "between" => Ok(Filter::Between(path()?, value("low")?, value("high")?)),
        "contains" => Ok(Filter::Contains(path()?, value("value")?)),
        "starts with" => match object.get("value").and_then(Json::as_str) {
            Some(text) => Ok(Filter::StartsWith(path()?, text.into())),
            None => Err(format!("{place}.value: a text")),
        },
        "exists" => Ok(Filter::Exists(path()?)),
        _ => Err(format!(
            "{place}: {{\"and\": [...]}}, {{\"or\": [...]}}, {{\"not\": ...}}, or op, path and value; op is =, \
             !=, <, <=, >, >=, in (values), between (low, high), contains, starts with or exists (no value)"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_can_be_asked() {
        let body = json!({
            "collection": "bugs",
            "joins": [{ "kind": "left", "collection": "people", "left": "who", "right": [] }],
            "where": { "and": [
                { "op": "=", "path": "status", "value": "open" },
                { "or": [{ "op": "in", "path": "n", "values": [1, 2.5] }, { "op": "exists", "path": ["a", "b"] }] },
                { "not": { "op": "between", "path": "n", "low": 1, "high": 2 } },
                { "op": "starts with", "path": { "source": 1, "path": "name" }, "value": "A" },
            ] },
            "select": ["title", { "source": 1, "path": ["name"] }],
            "sort": [{ "path": "priority", "descending": true }],
            "limit": 10,
            "after": { "epoch": "7f3a91c25d08e64b", "seq": 2 },
        });
        let question = Question::parse(body.to_string().as_bytes()).unwrap();
        let selection = &question.selection;
        assert_eq!(selection.joins[0].right, Path::of(1, &[]));
        let Filter::And(all) = &selection.filter else { panic!("{selection:?}") };
        assert_eq!(all[0], Filter::Compare(Comparison::Equal, Path::field("status"), "open".into()));
        assert_eq!(all[3], Filter::StartsWith(Path::of(1, &["name"]), "A".into()));
        assert_eq!(selection.projection, [Path::field("title"), Path::of(1, &["name"])]);
        assert_eq!((question.limit.get(), question.after.seq()), (10, 2));
        question.frame(1).unwrap();
    }

    #[test]
    fn mistakes_are_named() {
        for (body, text) in [
            ("{", "the body is no JSON"),
            ("[]", "the query: an object with collection"),
            (r#"{"collection": "a", "wher": 1}"#, "the query: wher is not known here"),
            (r#"{"collection": ""}"#, "collection: the name"),
            (r#"{"collection": "a", "where": {"op": "~", "path": "f"}}"#, "where: {\"and\""),
            (
                r#"{"collection": "a", "where": {"and": [{"op": "=", "path": "f"}]}}"#,
                "where.and[0].value: is missing",
            ),
            (r#"{"collection": "a", "sort": [{"path": 5}]}"#, "sort[0].path: a path"),
            (r#"{"collection": "a", "limit": 10001}"#, "limit: rows"),
            (r#"{"collection": "a", "cursor": "!"}"#, "cursor: what"),
        ] {
            let error = Question::parse(body.as_bytes()).unwrap_err();
            assert!(error.starts_with(text), "{error}");
        }
        let question = Question::parse(br#"{"collection": "a", "where": {"and": []}}"#).unwrap();
        assert!(question.frame(1).is_err());
        let deep = format!("{}{}{}", r#"{"collection":"a","where":"#, r#"{"not":"#.repeat(40), "1");
        let deep = format!("{deep}{}", "}".repeat(41));
        assert!(Question::parse(deep.as_bytes()).unwrap_err().contains("at most 16"));
    }
}
