//! Queries that an application builds.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::filter::{self, Comparison};
use super::selection::{AggregateFunction, BY_AGGREGATE, BY_PATH, Direction, JoinKind, SelectionRef};
use crate::error::BuildError;
use crate::limits::{
    MAX_AGGREGATES, MAX_FILTER_DEPTH, MAX_GROUP_BY, MAX_IN_VALUES, MAX_JOINS, MAX_PATH, MAX_PATH_COMPONENT,
    MAX_PROJECTION, MAX_SORT,
};
use crate::registry::ErrorCode;
use crate::value::Value;
use crate::wire::parse::whole;
use crate::wire::{CollectionName, Sink};

/// What a query asks for.
///
/// It can hold more than the wire can; [`Self::encode`] refuses that.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Selection {
    /// Join number i, counted from 1, adds source i. At most 4.
    pub joins: Vec<Join>,
    /// Which rows.
    pub filter: Filter,
    /// By what rows are put into groups. At most 8.
    pub group_by: Vec<Path>,
    /// What is computed for each group. At most 16.
    pub aggregates: Vec<Aggregate>,
    /// Which columns; none with aggregates or group by. At most 64.
    pub projection: Vec<Path>,
    /// In which order. At most 8.
    pub sort: Vec<SortKey>,
}

/// A source of the query and a place in its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// 0 for the collection of the query, i for that of join number i.
    pub source: u8,
    /// The name of a field, then keys of dictionaries; none means the record's id. At most 16, each of
    /// 1 to 1,024 bytes.
    pub components: Vec<Box<str>>,
}

impl Path {
    /// The record's id in source 0.
    pub const ID: Self = Self { source: 0, components: Vec::new() };

    /// A field of source 0.
    #[must_use]
    pub fn field(name: &str) -> Self {
        Self::of(0, &[name])
    }

    /// A place in a record of `source`.
    #[must_use]
    pub fn of(source: u8, components: &[&str]) -> Self {
        Self { source, components: components.iter().map(|component| (*component).into()).collect() }
    }
}

/// A source more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// What becomes of a row without a match.
    pub kind: JoinKind,
    /// The collection that it adds.
    pub collection: CollectionName,
    /// A path of an earlier source.
    pub left: Path,
    /// A path of this source, whose value must equal that of `left`.
    pub right: Path,
}

/// One value computed from the rows of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// What is computed.
    pub function: AggregateFunction,
    /// From what.
    pub path: Path,
}

/// One key by which rows are sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// What is compared.
    pub by: SortBy,
    /// Which way.
    pub direction: Direction,
}

/// What a sort key compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// The value at a path.
    Path(Path),
    /// The aggregate of that index, counted from 0.
    Aggregate(u8),
}

/// Which rows a query wants.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Filter {
    /// Every row; only as the whole filter (QRY-5).
    #[default]
    All,
    /// All of these: at least one, at most 255.
    And(Vec<Self>),
    /// One of these: at least one, at most 255.
    Or(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// A comparison with a value.
    Compare(Comparison, Path, Value),
    /// Equal to one of the values: at least one, at most 1,000.
    In(Path, Vec<Value>),
    /// From the first value to the second, both included.
    Between(Path, Value, Value),
    /// The text contains a text, the array an element, the dictionary a key.
    Contains(Path, Value),
    /// The text begins so; at most 1,024 bytes.
    StartsWith(Path, Box<str>),
    /// There is something, null included.
    Exists(Path),
}

impl Selection {
    /// Encodes it into `buffer`, whose content is replaced, and gives it as a view over that.
    ///
    /// # Errors
    /// The code of the first rule of SPEC.md 7.13 that it breaks: `TOO_MANY`, `TOO_LONG`, `TOO_DEEP`,
    /// `EMPTY`, `OUT_OF_RANGE` for a source or index that is not there, `UNKNOWN_CODE` for
    /// [`Filter::All`] inside another, `NON_CANONICAL` for a projection with aggregates or group by,
    /// `MISPLACED_VALUE`, and what [`Value::to_bytes`] names.
    pub fn encode<'b>(&self, buffer: &'b mut Vec<u8>) -> Result<SelectionRef<'b>, BuildError> {
        buffer.clear();
        put_list(buffer, &self.joins, MAX_JOINS, "joins", put_join)?;
        put_filter(buffer, &self.filter, 0)?;
        put_list(buffer, &self.group_by, MAX_GROUP_BY, "group by", put_path)?;
        put_list(buffer, &self.aggregates, MAX_AGGREGATES, "aggregates", |out, aggregate| {
            out.put_u8(aggregate.function.code());
            put_path(out, &aggregate.path)
        })?;
        put_list(buffer, &self.projection, MAX_PROJECTION, "projection", put_path)?;
        put_list(buffer, &self.sort, MAX_SORT, "sort", put_sort_key)?;
        // Lengths and counts fit into their fields; the decoder knows all the other rules.
        whole(buffer, "selection", SelectionRef::decode)
            .map_err(|error| BuildError::new(error.code, error.field))
    }
}

type Put = Result<(), BuildError>;

fn put_list<T>(
    out: &mut Vec<u8>,
    all: &[T],
    max: usize,
    field: &'static str,
    put: impl Fn(&mut Vec<u8>, &T) -> Put,
) -> Put {
    match u8::try_from(all.len()) {
        Ok(count) if all.len() <= max => out.put_u8(count),
        _ => return Err(BuildError::new(ErrorCode::TOO_MANY, field)),
    }
    all.iter().try_for_each(|item| put(out, item))
}

fn put_text16(out: &mut Vec<u8>, text: &str, field: &'static str) -> Put {
    match u16::try_from(text.len()) {
        Ok(len) if text.len() <= MAX_PATH_COMPONENT => out.put_u16(len),
        _ => return Err(BuildError::new(ErrorCode::TOO_LONG, field)),
    }
    out.put(text.as_bytes());
    Ok(())
}

fn put_path(out: &mut Vec<u8>, path: &Path) -> Put {
    out.put_u8(path.source);
    put_list(out, &path.components, MAX_PATH, "path", |out, component| put_text16(out, component, "path"))
}

fn put_value(out: &mut Vec<u8>, value: &Value) -> Put {
    out.put(&value.to_bytes()?);
    Ok(())
}

fn put_join(out: &mut Vec<u8>, join: &Join) -> Put {
    out.put_u8(join.kind.code());
    crate::message::checked::put_text8(out, join.collection.as_str());
    put_path(out, &join.left)?;
    put_path(out, &join.right)
}

fn put_sort_key(out: &mut Vec<u8>, key: &SortKey) -> Put {
    match &key.by {
        SortBy::Path(path) => {
            out.put_u8(BY_PATH);
            put_path(out, path)?;
        }
        SortBy::Aggregate(index) => out.put(&[BY_AGGREGATE, *index]),
    }
    out.put_u8(key.direction.code());
    Ok(())
}

/// Writes an expression inside `open` others; recursion ends at the depth that the wire allows.
fn put_filter(out: &mut Vec<u8>, filter: &Filter, open: usize) -> Put {
    if matches!(filter, Filter::And(_) | Filter::Or(_) | Filter::Not(_)) && open >= MAX_FILTER_DEPTH {
        return Err(BuildError::new(ErrorCode::TOO_DEEP, "filter"));
    }
    let operands = |out: &mut Vec<u8>, code, operands: &[Filter]| {
        out.put_u8(code);
        put_list(out, operands, 255, "filter", |out, operand| put_filter(out, operand, open + 1))
    };
    match filter {
        Filter::All => out.put_u8(filter::ALL),
        Filter::And(all) => operands(out, filter::AND, all)?,
        Filter::Or(all) => operands(out, filter::OR, all)?,
        Filter::Not(operand) => {
            out.put_u8(filter::NOT);
            put_filter(out, operand, open + 1)?;
        }
        Filter::Compare(comparison, path, value) => {
            out.put_u8(comparison.code());
            put_path(out, path)?;
            put_value(out, value)?;
        }
        Filter::In(path, values) => {
            out.put_u8(filter::IN);
            put_path(out, path)?;
            match u16::try_from(values.len()) {
                Ok(count) if values.len() <= MAX_IN_VALUES => out.put_u16(count),
                _ => return Err(BuildError::new(ErrorCode::TOO_MANY, "values")),
            }
            values.iter().try_for_each(|value| put_value(out, value))?;
        }
        Filter::Between(path, low, high) => {
            out.put_u8(filter::BETWEEN);
            put_path(out, path)?;
            put_value(out, low)?;
            put_value(out, high)?;
        }
        Filter::Contains(path, value) => {
            out.put_u8(filter::CONTAINS);
            put_path(out, path)?;
            put_value(out, value)?;
        }
        Filter::StartsWith(path, text) => {
            out.put_u8(filter::STARTS_WITH);
            put_path(out, path)?;
            put_text16(out, text, "text")?;
        }
        Filter::Exists(path) => {
            out.put_u8(filter::EXISTS);
            put_path(out, path)?;
        }
    }
    Ok(())
}
