//! Queries and their responses.

use blazedb_relay::message::{
    Aggregate, AggregateFunction, CollectionRef, Comparison, Cursor, Direction, Extensions, Filter, FilterOp,
    FilterOps, Join, JoinKind, Message, PageEnd, PageLimit, Path, PathRef, Query, QueryResponse, Selection,
    SortBy, SortByRef, SortKey, TableBuilder,
};
use blazedb_relay::wire::CollectionName;
use serde_json::{Value as Json, json};

use super::json::{Refusal, bytes, get, hex, items, number, position, position_json, refuse, text};
use super::value::{value, value_json};

pub(super) fn query_json(query: &Query<'_>, extensions: Json) -> Json {
    let selection = &query.selection;
    let joins = selection.joins().iter().map(|join| {
        json!({
            "kind": if join.kind == JoinKind::Inner { "inner" } else { "left" },
            "collection": join.collection.as_str(),
            "left": path_json(join.left),
            "right": path_json(join.right),
        })
    });
    let aggregates = selection.aggregates().iter().map(|aggregate| {
        json!({ "function": function_name(aggregate.function), "path": path_json(aggregate.path) })
    });
    let sort = selection.sort().iter().map(|key| {
        let direction = if key.direction == Direction::Ascending { "ascending" } else { "descending" };
        match key.by {
            SortByRef::Path(path) => json!({ "path": path_json(path), "direction": direction }),
            SortByRef::Aggregate(index) => {
                json!({ "aggregate": index.to_string(), "direction": direction })
            }
        }
    });
    json!({
        "collection": query.collection.as_str(),
        "after": position_json(query.after),
        "joins": joins.collect::<Vec<_>>(),
        "filter": filter_json(&mut selection.filter().ops()),
        "group_by": selection.group_by().iter().map(path_json).collect::<Vec<_>>(),
        "aggregates": aggregates.collect::<Vec<_>>(),
        "projection": selection.projection().iter().map(path_json).collect::<Vec<_>>(),
        "sort": sort.collect::<Vec<_>>(),
        "limit": query.limit.get().to_string(),
        "cursor": hex(query.cursor.as_bytes()),
        "extensions": extensions,
    })
}

const fn function_name(function: AggregateFunction) -> &'static str {
    match function {
        AggregateFunction::Count => "count",
        AggregateFunction::Sum => "sum",
        AggregateFunction::Average => "avg",
        AggregateFunction::Minimum => "min",
        AggregateFunction::Maximum => "max",
    }
}

const COMPARISONS: [(Comparison, &str); 6] = [
    (Comparison::Equal, "equal"),
    (Comparison::NotEqual, "not_equal"),
    (Comparison::Less, "less"),
    (Comparison::LessOrEqual, "less_or_equal"),
    (Comparison::Greater, "greater"),
    (Comparison::GreaterOrEqual, "greater_or_equal"),
];

fn path_json(path: PathRef<'_>) -> Json {
    let components: Vec<_> = path.components().iter().map(|component| component.as_str()).collect();
    json!({ "source": path.source().to_string(), "components": components })
}

/// One expression from its ops in prefix order. Recursion ends at the depth that the wire allows.
fn filter_json(ops: &mut FilterOps<'_>) -> Json {
    let Some(op) = ops.next() else { return Json::Null };
    let mut operands = |count| (0..count).map(|_| filter_json(ops)).collect::<Vec<_>>();
    match op {
        FilterOp::All => json!({ "op": "all" }),
        FilterOp::And(count) => json!({ "op": "and", "of": operands(count) }),
        FilterOp::Or(count) => json!({ "op": "or", "of": operands(count) }),
        FilterOp::Not => json!({ "op": "not", "of": filter_json(ops) }),
        FilterOp::Compare(comparison, path, value) => {
            let name = COMPARISONS.iter().find(|(this, _)| *this == comparison).map(|(_, name)| *name);
            json!({ "op": name, "path": path_json(path), "value": value_json(value) })
        }
        FilterOp::In(path, values) => {
            let values: Vec<_> = values.iter().map(value_json).collect();
            json!({ "op": "in", "path": path_json(path), "values": values })
        }
        FilterOp::Between(path, low, high) => {
            json!({ "op": "between", "path": path_json(path), "low": value_json(low), "high": value_json(high) })
        }
        FilterOp::Contains(path, value) => {
            json!({ "op": "contains", "path": path_json(path), "value": value_json(value) })
        }
        FilterOp::StartsWith(path, text) => {
            json!({ "op": "starts_with", "path": path_json(path), "text": text })
        }
        FilterOp::Exists(path) => json!({ "op": "exists", "path": path_json(path) }),
    }
}

pub(super) fn response_json(response: &QueryResponse<'_>, extensions: Json) -> Json {
    let rows: Vec<_> =
        response.table.iter().map(|row| row.cells().map(value_json).collect::<Json>()).collect();
    let cursor = match response.end {
        PageEnd::More => String::new(),
        PageEnd::Last(cursor) => hex(cursor.as_bytes()),
    };
    json!({
        "at": position_json(response.at),
        "columns": response.table.columns().to_string(),
        "rows": rows,
        "cursor": cursor,
        "extensions": extensions,
    })
}

pub(super) fn query(
    json: &Json,
    extensions: Extensions<'_>,
    packet: impl Fn(Message<'_>) -> Result<Vec<u8>, Refusal>,
) -> Result<Vec<u8>, Refusal> {
    let each = |key, read: fn(&Json) -> Result<Path, Refusal>| {
        items(json, key)?.iter().map(read).collect::<Result<Vec<_>, _>>()
    };
    let selection = Selection {
        joins: items(json, "joins")?.iter().map(join).collect::<Result<_, _>>()?,
        filter: filter(get(json, "filter")?)?,
        group_by: each("group_by", path)?,
        aggregates: items(json, "aggregates")?.iter().map(aggregate).collect::<Result<_, _>>()?,
        projection: each("projection", path)?,
        sort: items(json, "sort")?.iter().map(sort_key).collect::<Result<_, _>>()?,
    };
    let (mut buffer, cursor) = (Vec::new(), bytes(json, "cursor")?);
    packet(Message::Query(Query {
        collection: CollectionRef::new(text(json, "collection")?)?,
        after: position(get(json, "after")?)?,
        selection: selection.encode(&mut buffer)?,
        limit: PageLimit::new(number(json, "limit")?)?,
        cursor: Cursor::new(&cursor)?,
        extensions,
    }))
}

fn path(json: &Json) -> Result<Path, Refusal> {
    let components = items(json, "components")?
        .iter()
        .map(|text| text.as_str().map(Into::into).ok_or_else(|| Refusal::json("components", "strings")))
        .collect::<Result<_, _>>()?;
    Ok(Path { source: number(json, "source")?, components })
}

fn path_of(json: &Json) -> Result<Path, Refusal> {
    path(get(json, "path")?)
}

fn join(json: &Json) -> Result<Join, Refusal> {
    let kind = match text(json, "kind")? {
        "inner" => JoinKind::Inner,
        "left" => JoinKind::Left,
        _ => return refuse("kind", "inner or left"),
    };
    let collection = CollectionName::new(text(json, "collection")?)?;
    Ok(Join { kind, collection, left: path(get(json, "left")?)?, right: path(get(json, "right")?)? })
}

fn aggregate(json: &Json) -> Result<Aggregate, Refusal> {
    let function = match text(json, "function")? {
        "count" => AggregateFunction::Count,
        "sum" => AggregateFunction::Sum,
        "avg" => AggregateFunction::Average,
        "min" => AggregateFunction::Minimum,
        "max" => AggregateFunction::Maximum,
        _ => return refuse("function", "count, sum, avg, min or max"),
    };
    Ok(Aggregate { function, path: path_of(json)? })
}

fn sort_key(json: &Json) -> Result<SortKey, Refusal> {
    let by = match json.get("path") {
        Some(json) => SortBy::Path(path(json)?),
        None => SortBy::Aggregate(number(json, "aggregate")?),
    };
    let direction = match text(json, "direction")? {
        "ascending" => Direction::Ascending,
        "descending" => Direction::Descending,
        _ => return refuse("direction", "ascending or descending"),
    };
    Ok(SortKey { by, direction })
}

fn filter(json: &Json) -> Result<Filter, Refusal> {
    let operands = || items(json, "of")?.iter().map(filter).collect::<Result<Vec<_>, _>>();
    let operand = |key| value(get(json, key)?);
    Ok(match text(json, "op")? {
        "all" => Filter::All,
        "and" => Filter::And(operands()?),
        "or" => Filter::Or(operands()?),
        "not" => Filter::Not(Box::new(filter(get(json, "of")?)?)),
        "in" => {
            let values = items(json, "values")?.iter().map(value).collect::<Result<_, _>>()?;
            Filter::In(path_of(json)?, values)
        }
        "between" => Filter::Between(path_of(json)?, operand("low")?, operand("high")?),
        "contains" => Filter::Contains(path_of(json)?, operand("value")?),
        "starts_with" => Filter::StartsWith(path_of(json)?, text(json, "text")?.into()),
        "exists" => Filter::Exists(path_of(json)?),
        name => match COMPARISONS.iter().find(|(_, this)| *this == name) {
            Some((comparison, _)) => Filter::Compare(*comparison, path_of(json)?, operand("value")?),
            None => return refuse("op", "the name of an expression with _ for spaces"),
        },
    })
}

pub(super) fn response(
    json: &Json,
    extensions: Extensions<'_>,
    packet: impl Fn(Message<'_>) -> Result<Vec<u8>, Refusal>,
) -> Result<Vec<u8>, Refusal> {
    let mut table = TableBuilder::new(number(json, "columns")?)?;
    for row in items(json, "rows")? {
        let cells = row.as_array().ok_or_else(|| Refusal::json("rows", "arrays of values"))?;
        table.push_owned(&cells.iter().map(value).collect::<Result<Vec<_>, _>>()?)?;
    }
    let cursor = bytes(json, "cursor")?;
    let more = matches!(json.get("more"), Some(Json::Bool(true)));
    if more && !cursor.is_empty() {
        return refuse("cursor", "empty with more");
    }
    let end = if more { PageEnd::More } else { PageEnd::Last(Cursor::new(&cursor)?) };
    let at = position(get(json, "at")?)?;
    packet(Message::QueryResponse(QueryResponse { at, table: table.table(), end, extensions }))
}
