//! `query`: rows of the relay's merged state.

use std::io::Write as _;

use anyhow::{Context as _, Result, anyhow, bail};
use blazedb_relay::message::{
    Aggregate, AggregateFunction, Comparison, Direction, Filter, PageLimit, Path, Selection, SortBy, SortKey,
};
use blazedb_relay::value::Value;
use blazedb_relay::wire::CollectionName;
use blazedb_relay_json::{Place, parse, show};
use serde_json::{Map, Value as Json};

use crate::Outcome;
use crate::args::Query;
use crate::connect::{block_on, online, options};
use crate::output::{self, BOLD, counted, text_columns};

/// Rows of a page.
const PAGE: u32 = 1_000;
/// Widest column of a table.
const MAX_COLUMN: usize = 40;

/// Runs the command.
pub(crate) fn run(args: &Query) -> Result<Outcome> {
    let selection = selection(args)?;
    let names = names(args);
    let collection =
        CollectionName::new(&args.collection).with_context(|| format!("collection {:?}", args.collection))?;
    let rows = block_on(async {
        let client = online(&args.relay, options(&args.relay)?).await?;
        // What is in the log now is to be seen.
        let mut query = blazedb_relay_client::Query {
            collection,
            after: client.sync_state().await?.head,
            selection,
            limit: PageLimit::new(PAGE)?,
            cursor: Box::default(),
        };
        let limit = usize::try_from(args.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let mut rows = Vec::new();
        while rows.len() < limit {
            query.limit = PageLimit::new(u32::try_from(limit - rows.len()).unwrap_or(PAGE).min(PAGE))?;
            let page = client.query(query.clone()).await?;
            rows.extend(page.rows);
            if page.cursor.is_empty() {
                break;
            }
            query.cursor = page.cursor;
        }
        Ok(rows)
    })?;
    let mut out = output::stdout();
    if args.json {
        for row in &rows {
            writeln!(out, "{}", row_json(names.as_deref(), row))?;
        }
    } else {
        write_table(&mut out, names, &rows)?;
    }
    out.flush()?;
    output::note(&counted(rows.len() as u64, "row"));
    Ok(Outcome::Fine)
}

/// What the flags ask for.
fn selection(args: &Query) -> Result<Selection> {
    let mut conditions = args.conditions.iter().map(|text| condition(text)).collect::<Result<Vec<_>>>()?;
    let filter = match conditions.len() {
        0 => Filter::All,
        1 => conditions.swap_remove(0),
        _ => Filter::And(conditions),
    };
    let sort = args.sort.iter().map(|text| {
        let (name, direction) = match text.rsplit_once(':') {
            Some((name, "desc")) => (name, Direction::Descending),
            Some((name, "asc")) => (name, Direction::Ascending),
            _ => (&**text, Direction::Ascending),
        };
        SortKey { by: SortBy::Path(path(name)), direction }
    });
    let aggregates = aggregates(args)
        .into_iter()
        .map(|(function, name)| Aggregate { function, path: name.map_or(Path::ID, path) });
    let selection = Selection {
        joins: Vec::new(),
        filter,
        group_by: args.group_by.iter().map(|name| path(name)).collect(),
        aggregates: aggregates.collect(),
        projection: args.select.iter().map(|name| path(name)).collect(),
        sort: sort.collect(),
    };
    selection.encode(&mut Vec::new()).map_err(|error| {
        anyhow!(
            "the relay takes no such query: {error} (--select goes with neither --group-by nor --count, ...)"
        )
    })?;
    Ok(selection)
}

/// The functions that are asked for, and of what.
fn aggregates(args: &Query) -> Vec<(AggregateFunction, Option<&str>)> {
    let count = args.count.then_some((AggregateFunction::Count, None));
    let mut all: Vec<(AggregateFunction, Option<&str>)> = count.into_iter().collect();
    for (function, names) in [
        (AggregateFunction::Sum, &args.sum),
        (AggregateFunction::Average, &args.avg),
        (AggregateFunction::Minimum, &args.min),
        (AggregateFunction::Maximum, &args.max),
    ] {
        all.extend(names.iter().map(|name| (function, Some(&**name))));
    }
    all
}

/// The columns, if they have names of their own; else each row is a record.
fn names(args: &Query) -> Option<Vec<String>> {
    if !args.select.is_empty() {
        return Some(args.select.clone());
    }
    let aggregates = aggregates(args);
    if aggregates.is_empty() && args.group_by.is_empty() {
        return None;
    }
    let computed = aggregates.into_iter().map(|(function, name)| {
        let word = match function {
            AggregateFunction::Count => "count",
            AggregateFunction::Sum => "sum",
            AggregateFunction::Average => "avg",
            AggregateFunction::Minimum => "min",
            AggregateFunction::Maximum => "max",
        };
        name.map_or_else(|| word.to_owned(), |name| format!("{word}({name})"))
    });
    Some(args.group_by.iter().cloned().chain(computed).collect())
}

/// `a.b` is the entry b of the dictionary a; `id` is the record's id.
fn path(name: &str) -> Path {
    if name == "id" {
        return Path::ID;
    }
    Path::of(0, &name.split('.').collect::<Vec<_>>())
}

/// A field, an operator and a value.
#[allow(clippy::wildcard_enum_match_arm, reason = "other values are refused")]
fn condition(text: &str) -> Result<Filter> {
    let wrong = || {
        anyhow!(
            "--where {text:?} is no condition; one looks like 'priority >= 3', with = != < <= > >= contains, \
             starts-with or exists"
        )
    };
    let text = text.trim();
    let end = text.find(|c: char| c.is_whitespace() || "=!<>".contains(c)).ok_or_else(wrong)?;
    let (name, rest) = text.split_at(end);
    let rest = rest.trim_start();
    if name.is_empty() {
        return Err(wrong());
    }
    let path = path(name);
    let value = |rest: &str| -> Result<Value> {
        let rest = rest.trim();
        match serde_json::from_str::<Json>(rest) {
            Ok(json) => {
                parse(&json, Place::Content, &format!("--where {text:?}")).map_err(|error| anyhow!(error))
            }
            Err(_) if rest.is_empty() => Err(wrong()),
            Err(_) => Ok(rest.into()),
        }
    };
    for (sign, comparison) in [
        ("!=", Comparison::NotEqual),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("=", Comparison::Equal),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ] {
        if let Some(rest) = rest.strip_prefix(sign) {
            return Ok(Filter::Compare(comparison, path, value(rest)?));
        }
    }
    match rest.split_once(char::is_whitespace).unwrap_or((rest, "")) {
        ("exists", "") => Ok(Filter::Exists(path)),
        ("contains", rest) => Ok(Filter::Contains(path, value(rest)?)),
        ("starts-with", rest) => match value(rest)? {
            Value::String(text) => Ok(Filter::StartsWith(path, text)),
            _ => bail!("--where {text:?}: a value starts with a text only"),
        },
        _ => Err(wrong()),
    }
}

/// A row as an object; what is not there is left out.
fn row_json(names: Option<&[String]>, row: &[Value]) -> Json {
    let there = |value: &Value| !matches!(value, Value::Removed);
    let mut object = Map::new();
    match names {
        Some(names) => {
            let cells = names.iter().zip(row).filter(|(_, value)| there(value));
            object.extend(cells.map(|(name, value)| (name.clone(), show(value))));
        }
        None => {
            if let [Value::Uuid(record), fields @ Value::Dictionary(_)] = row {
                object.insert("record".to_owned(), record.to_string().into());
                object.insert("fields".to_owned(), show(fields));
            }
        }
    }
    object.into()
}

fn write_table(out: &mut output::Stdout, names: Option<Vec<String>>, rows: &[Vec<Value>]) -> Result<()> {
    let names = names.unwrap_or_else(|| vec!["record".to_owned(), "fields".to_owned()]);
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let cells = cells.iter().filter_map(|row| row.get(at)).map(|cell| text_columns(cell));
            cells.chain([text_columns(name)]).max().unwrap_or(0)
        })
        .collect();
    let mut line = |row: &[String], bold: bool| -> std::io::Result<()> {
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = if at + 1 == row.len() { 0 } else { width - text_columns(cell).min(*width) + 2 };
            if bold {
                write!(out, "{BOLD}{cell}{BOLD:#}{}", " ".repeat(gap))?;
            } else {
                write!(out, "{cell}{}", " ".repeat(gap))?;
            }
        }
        writeln!(out)
    };
    line(&names, true)?;
    cells.iter().try_for_each(|row| line(row, false))?;
    Ok(())
}

/// Text as it is, what is not there as nothing, the rest as JSON.
#[allow(clippy::wildcard_enum_match_arm, reason = "the rest is JSON")]
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Removed => String::new(),
        Value::String(text) => text.escape_debug().to_string(),
        Value::Uuid(id) => id.to_string(),
        value => show(value).to_string(),
    };
    if matches!(value, Value::Dictionary(_)) || text.chars().count() <= MAX_COLUMN {
        return text;
    }
    text.chars().take(MAX_COLUMN - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails a test")]
    use super::*;

    #[test]
    fn a_condition_is_a_field_an_operator_and_a_value() {
        let compare = |comparison, name: &str, value: Value| Filter::Compare(comparison, path(name), value);
        for (text, wanted) in [
            ("status = open", compare(Comparison::Equal, "status", "open".into())),
            ("status=\"open\"", compare(Comparison::Equal, "status", "open".into())),
            ("priority >= 3", compare(Comparison::GreaterOrEqual, "priority", 3.into())),
            ("priority<3", compare(Comparison::Less, "priority", 3.into())),
            ("a.b != null", compare(Comparison::NotEqual, "a.b", Value::Null)),
            ("title starts-with Fix it", Filter::StartsWith(path("title"), "Fix it".into())),
            ("tags contains 7", Filter::Contains(path("tags"), 7.into())),
            ("note exists", Filter::Exists(path("note"))),
        ] {
            assert_eq!(condition(text).unwrap(), wanted, "{text}");
        }
        for bad in ["", "status", "= 3", "a ~ 3", "a exists 3", "a =", "a starts-with 7"] {
            assert!(condition(bad).is_err(), "{bad}");
        }
    }
}
