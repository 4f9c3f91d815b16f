//! The statement that finds a query's rows.
//!
//! Its text depends on what is asked, how many of it and which indexes there are, never on a name or a
//! value: those are parameters, each use of one its own (SEC-4).

use core::fmt::Write as _;
use std::rc::Rc;

use blazedb_relay::message::{Direction, FilterOp, JoinKind, PathRef, Query, SortByRef};
use rusqlite::types::{ToSql, ToSqlOutput, Value};

use crate::Error;
use crate::filter::{Wanted, condition, conjuncts, wanted};
use crate::functions::path_parameter;
use crate::index::Index;
use crate::key;
use crate::meter::Meter;

/// A statement with its parameters.
#[derive(Debug, Default)]
pub(crate) struct Sql {
    pub(crate) text: String,
    pub(crate) parameters: Vec<Parameter>,
}

/// What a `?` stands for.
#[derive(Clone, Debug)]
pub(crate) enum Parameter {
    One(Value),
    Many(Rc<Vec<Value>>),
}

impl From<i64> for Parameter {
    fn from(value: i64) -> Self {
        Self::One(value.into())
    }
}

impl From<Vec<u8>> for Parameter {
    fn from(value: Vec<u8>) -> Self {
        Self::One(value.into())
    }
}

impl From<Vec<Vec<u8>>> for Parameter {
    fn from(values: Vec<Vec<u8>>) -> Self {
        Self::Many(Rc::new(values.into_iter().map(Value::from).collect()))
    }
}

impl ToSql for Parameter {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::One(value) => value.to_sql(),
            Self::Many(values) => values.to_sql(),
        }
    }
}

impl Sql {
    /// The placeholder of a new parameter.
    pub(crate) fn bind(&mut self, parameter: impl Into<Parameter>) -> String {
        self.parameters.push(parameter.into());
        format!("?{}", self.parameters.len())
    }

    /// The key of what stands at a path.
    pub(crate) fn key(&mut self, path: PathRef<'_>) -> String {
        self.at(path, "bz_id", "bz_key")
    }

    /// Its encoding.
    pub(crate) fn value(&mut self, path: PathRef<'_>) -> String {
        self.at(path, "bz_id_value", "bz_value")
    }

    fn at(&mut self, path: PathRef<'_>, of_id: &str, of_field: &str) -> String {
        let source = path.source();
        if path.is_record_id() {
            return format!("{of_id}(s{source}.record)");
        }
        let path = self.bind(parameter(path));
        format!("{of_field}(s{source}.id, s{source}.content, {path})")
    }

    pub(crate) fn contains(&mut self, path: PathRef<'_>, encoding: Vec<u8>) -> String {
        let source = path.source();
        if path.is_record_id() {
            // An id is no string, array or dictionary.
            return "0".to_owned();
        }
        let path = self.bind(parameter(path));
        format!("bz_contains(s{source}.id, s{source}.content, {path}, {})", self.bind(encoding))
    }
}

fn parameter(path: PathRef<'_>) -> Vec<u8> {
    let components: Vec<_> = path.components().iter().collect();
    path_parameter(components.iter().map(|component| component.as_str()))
}

/// The collections of a query's sources, as the tables have them.
pub(crate) struct Source {
    /// Of the collection; 0, which none has, if there is nothing in it.
    pub(crate) collection: i64,
    /// Those that may be used.
    pub(crate) indexes: Vec<Index>,
}

/// How source 0 is read.
enum Access<'i> {
    /// All of the collection, by record id.
    Scan,
    /// Records with these ids.
    Records(Vec<Vec<u8>>),
    /// Rows of an index between two bounds. The first `fixed` fields are the same in all: `prefix`.
    Range { index: &'i Index, fixed: usize, prefix: Vec<u8>, from: Vec<u8>, before: Vec<u8> },
    /// Rows of an index that begin with one of these keys.
    Keys { index: &'i Index, keys: Vec<Vec<u8>> },
}

/// One thing that rows are ordered by.
struct Term {
    /// To compare with.
    expression: String,
    /// To sort by.
    sorted: String,
    descending: bool,
}

/// Where a page begins: behind the row with these.
pub(crate) struct Behind {
    /// Of each sort key.
    pub(crate) keys: Vec<Vec<u8>>,
    /// Of the record of each source; empty where a left join found none.
    pub(crate) records: Vec<Vec<u8>>,
}

/// The statement for the ids of the records in each row of a page, in order.
pub(crate) fn rows(
    query: &Query<'_>,
    sources: &[Source],
    meter: &Meter,
    behind: Option<&Behind>,
    limit: u32,
) -> Result<Sql, Error> {
    let mut sql = Sql::default();
    let access = access(query, sources);
    let ids: Vec<_> = (0..sources.len()).map(|number| format!("s{number}.id")).collect();
    let parts = from_where(&mut sql, query, sources, meter, &access);
    let terms = terms(&mut sql, query, sources, &access);
    let mut text = format!("{}SELECT {} {}", parts.with, ids.join(", "), parts.from_where);
    if let Some(behind) = behind {
        let prefix = gives_order(query, &access).map(|(prefix, _)| prefix);
        let values = behind_values(behind, prefix);
        // Writing to a string does not fail.
        let _ = write!(text, " AND {}", after(&mut sql, &terms, values)?);
    }
    let order =
        terms.iter().map(|term| format!("{}{}", term.sorted, if term.descending { " DESC" } else { "" }));
    let order: Vec<_> = order.collect();
    let _ = write!(text, " ORDER BY {} LIMIT {}", order.join(", "), sql.bind(i64::from(limit)));
    sql.text = text;
    Ok(sql)
}

/// The statement for the values at `paths` in every row.
pub(crate) fn values<'q>(
    query: &Query<'_>,
    sources: &[Source],
    meter: &Meter,
    paths: impl Iterator<Item = PathRef<'q>>,
) -> Sql {
    let mut sql = Sql::default();
    let access = filtered_access(query, sources).unwrap_or(Access::Scan);
    let columns: Vec<_> = paths.map(|path| sql.value(path)).collect();
    let parts = from_where(&mut sql, query, sources, meter, &access);
    sql.text = format!("{}SELECT {} {}", parts.with, columns.join(", "), parts.from_where);
    sql
}

struct Parts {
    with: String,
    from_where: String,
}

fn from_where(
    sql: &mut Sql,
    query: &Query<'_>,
    sources: &[Source],
    meter: &Meter,
    access: &Access<'_>,
) -> Parts {
    let mut parts = Parts { with: String::new(), from_where: String::new() };
    let collection = sql.bind(sources.first().map_or(0, |source| source.collection));
    let (from, mut conditions) = match access {
        Access::Scan => {
            ("records AS s0", format!("s0.collection = {collection} AND s0.live AND bz_visit(s0.id)"))
        }
        Access::Records(records) => {
            let records = sql.bind(records.clone());
            let record = format!("s0.record IN rarray({records})");
            (
                "records AS s0",
                format!("s0.collection = {collection} AND {record} AND s0.live AND bz_visit(s0.id)"),
            )
        }
        Access::Range { index, from, before, .. } => {
            let (id, from, before) = (sql.bind(index.id), sql.bind(from.clone()), sql.bind(before.clone()));
            let range = format!("x0.index_id = {id} AND x0.key >= {from} AND x0.key < {before}");
            let record = format!("s0.id = x0.id AND s0.collection = {collection} AND bz_visit(x0.id)");
            ("index_rows AS x0 CROSS JOIN records AS s0", format!("{range} AND {record}"))
        }
        Access::Keys { index, keys } => {
            let (id, keys) = (sql.bind(index.id), sql.bind(keys.clone()));
            let range =
                format!("x0.index_id = {id} AND x0.key >= bz_low(v0.value) AND x0.key < bz_high(v0.value)");
            let record = format!("s0.id = x0.id AND s0.collection = {collection} AND bz_visit(x0.id)");
            parts.from_where = format!("FROM rarray({keys}) AS v0 CROSS JOIN ");
            ("index_rows AS x0 CROSS JOIN records AS s0", format!("{range} AND {record}"))
        }
    };
    if parts.from_where.is_empty() {
        parts.from_where.push_str("FROM ");
    }
    parts.from_where.push_str(from);
    for (number, (join, source)) in query.selection.joins().iter().zip(sources.iter().skip(1)).enumerate() {
        let kind = match join.kind {
            JoinKind::Inner => "CROSS JOIN",
            JoinKind::Left => "LEFT JOIN",
        };
        add_join(sql, &mut parts, number + 1, kind, source, (join.left, join.right));
    }
    let filter = condition(sql, meter, &mut query.selection.filter().ops());
    let _ = write!(conditions, " AND {filter}");
    let _ = write!(parts.from_where, " WHERE {conditions}");
    parts
}

/// Adds source `n`: each row looks its records up by the key of `left`, so that a join takes time in
/// proportion to the records that it reads.
fn add_join(
    sql: &mut Sql,
    parts: &mut Parts,
    n: usize,
    kind: &str,
    source: &Source,
    (left, right): (PathRef<'_>, PathRef<'_>),
) {
    let collection = sql.bind(source.collection);
    if right.is_record_id() {
        let _ = write!(
            parts.from_where,
            " {kind} records AS s{n} ON s{n}.collection = {collection} AND s{n}.record = bz_record({}) \
             AND s{n}.live AND bz_visit(s{n}.id)",
            sql.key(left),
        );
        return;
    }
    let right = parameter(right);
    let some = format!("{} > x'02'", sql.key(left));
    match source.indexes.iter().find(|index| index.paths.first() == Some(&right)) {
        Some(index) => {
            let id = sql.bind(index.id);
            let (low, high) = (sql.key(left), sql.key(left));
            let _ = write!(
                parts.from_where,
                " {kind} index_rows AS x{n} ON x{n}.index_id = {id} AND {some} \
                 AND x{n}.key >= bz_low({low}) AND x{n}.key < bz_high({high})",
            );
        }
        None => {
            // SQLite makes an index of its own for a table that it takes to be large, so it is told that this
            // one is.
            let right = sql.bind(right);
            let word = if parts.with.is_empty() { "WITH" } else { "," };
            let _ = write!(
                parts.with,
                "{word} j{n}(id, key) AS MATERIALIZED (SELECT r.id, bz_kept(bz_key(r.id, r.content, {right})) \
                 FROM records AS r WHERE likelihood(r.collection = {collection}, 0.5) AND r.live AND bz_visit(r.id)) ",
            );
            let _ =
                write!(parts.from_where, " {kind} j{n} AS x{n} ON x{n}.key = {} AND {some}", sql.key(left),);
        }
    }
    let _ = write!(parts.from_where, " {kind} records AS s{n} ON s{n}.id = x{n}.id AND bz_visit(s{n}.id)");
}

/// How to read source 0 for rows in order.
fn access<'i>(query: &Query<'_>, sources: &'i [Source]) -> Access<'i> {
    if let Some(access) = filtered_access(query, sources) {
        return access;
    }
    // Nothing to look up; but an index may give the order.
    let (paths, _) = sort_paths(query);
    let indexes = sources.first().map_or(&[][..], |source| &source.indexes);
    match indexes.iter().find(|index| !paths.is_empty() && index.paths == paths) {
        Some(index) => {
            Access::Range { index, fixed: 0, prefix: Vec::new(), from: Vec::new(), before: vec![0xFF] }
        }
        None => Access::Scan,
    }
}

/// How to read only records that the filter may let pass.
fn filtered_access<'i>(query: &Query<'_>, sources: &'i [Source]) -> Option<Access<'i>> {
    let ops = conjuncts(query.selection.filter().ops());
    let of_first = ops.iter().filter_map(|op| {
        let path = path_of(op).filter(|path| path.source() == 0)?;
        Some((path, wanted(op)?))
    });
    let mut known = Vec::new();
    for (path, wanted) in of_first {
        if path.is_record_id() {
            let keys = match wanted {
                Wanted::One(key) => vec![key],
                Wanted::OneOf(keys) => keys,
                Wanted::Between(_) => continue,
            };
            let records = keys.iter().filter_map(|key| key.strip_prefix(&[key::UUID]));
            return Some(Access::Records(records.map(<[u8]>::to_vec).collect()));
        }
        known.push((parameter(path), wanted));
    }
    let find = |path: &Vec<u8>, test: fn(&Wanted) -> bool| {
        known.iter().find(|(known, wanted)| known == path && test(wanted)).map(|(_, wanted)| wanted)
    };
    // The index of which the most is known, and how much that is.
    let mut best: Option<(usize, Access<'i>)> = None;
    for index in sources.first().map_or(&[][..], |source| &source.indexes) {
        let mut prefix = Vec::new();
        let mut fixed = 0;
        let mut score = 0;
        for path in &index.paths {
            let Some(Wanted::One(key)) = find(path, |it| matches!(it, Wanted::One(_))) else { break };
            key::push_part(&mut prefix, key);
            fixed += 1;
            score += 4;
        }
        let mut from = prefix.clone();
        let mut before = if fixed == 0 { vec![0xFF] } else { key::after(&prefix) };
        let next = index.paths.get(fixed);
        if let Some(Wanted::Between((low, high))) =
            next.and_then(|path| find(path, |it| matches!(it, Wanted::Between(_))))
        {
            before = [&*prefix, &key::part_beginning(high)].concat();
            from.extend(key::part_beginning(low));
            score += 1;
        }
        let mut access = Access::Range { index, fixed, prefix, from, before };
        if let (0, Some(Wanted::OneOf(keys))) =
            (fixed, index.paths.first().and_then(|path| find(path, |it| matches!(it, Wanted::OneOf(_)))))
        {
            access = Access::Keys { index, keys: keys.clone() };
            score = 3;
        }
        if score > best.as_ref().map_or(0, |(best, _)| *best) {
            best = Some((score, access));
        }
    }
    best.map(|(_, access)| access)
}

fn path_of<'q>(op: &FilterOp<'q>) -> Option<PathRef<'q>> {
    match op {
        FilterOp::Compare(_, path, _)
        | FilterOp::In(path, _)
        | FilterOp::Between(path, ..)
        | FilterOp::Contains(path, _)
        | FilterOp::StartsWith(path, _)
        | FilterOp::Exists(path) => Some(*path),
        FilterOp::All | FilterOp::And(_) | FilterOp::Or(_) | FilterOp::Not => None,
    }
}

/// The fields by which rows are sorted and whether descending, if all are of source 0 and go the same way;
/// else none.
fn sort_paths(query: &Query<'_>) -> (Vec<Vec<u8>>, bool) {
    let mut paths = Vec::new();
    let mut directions = Vec::new();
    for sort in query.selection.sort().iter() {
        match sort.by {
            SortByRef::Path(path) if path.source() == 0 && !path.is_record_id() => {
                paths.push(parameter(path));
                directions.push(sort.direction);
            }
            SortByRef::Path(_) | SortByRef::Aggregate(_) => return (Vec::new(), false),
        }
    }
    let descending = directions.first() == Some(&Direction::Descending);
    if directions.windows(2).any(|pair| matches!(pair, [a, b] if a != b)) {
        return (Vec::new(), false);
    }
    (paths, descending)
}

/// If the rows of an index stand in the order that is asked for: the parts that are the same in all, and
/// whether they are read from the end.
fn gives_order<'a>(query: &Query<'_>, access: &'a Access<'_>) -> Option<(&'a [u8], bool)> {
    let Access::Range { index, fixed, prefix, .. } = access else { return None };
    let (paths, descending) = sort_paths(query);
    let is_order = !paths.is_empty() && index.paths.get(*fixed..) == Some(&paths);
    is_order.then_some((prefix, descending))
}

/// What rows are ordered by.
fn terms(sql: &mut Sql, query: &Query<'_>, sources: &[Source], access: &Access<'_>) -> Vec<Term> {
    let mut terms = Vec::new();
    let indexed = gives_order(query, access);
    if let Some((_, descending)) = indexed {
        terms.push(Term { expression: "x0.key".to_owned(), sorted: "x0.key".to_owned(), descending });
    } else {
        for sort in query.selection.sort().iter() {
            // An aggregate makes groups, which are not ordered here (QRY-10).
            let SortByRef::Path(path) = sort.by else { continue };
            let (expression, sorted) = (sql.key(path), format!("bz_sorted({})", sql.key(path)));
            terms.push(Term { expression, sorted, descending: sort.direction == Direction::Descending });
        }
    }
    let first = if indexed.is_some() { "x0.record" } else { "s0.record" };
    let records = (1..sources.len()).map(|number| format!("ifnull(s{number}.record, x'')"));
    for expression in core::iter::once(first.to_owned()).chain(records) {
        terms.push(Term { sorted: expression.clone(), expression, descending: false });
    }
    terms
}

/// What the terms had in the row behind which a page begins.
fn behind_values(behind: &Behind, index_prefix: Option<&[u8]>) -> Vec<Vec<u8>> {
    let Behind { keys, records } = behind;
    let mut values = match index_prefix {
        Some(prefix) => {
            let mut row = prefix.to_vec();
            keys.iter().for_each(|key| key::push_part(&mut row, key));
            vec![row]
        }
        None => keys.clone(),
    };
    values.extend_from_slice(records);
    values
}

/// The condition that a row comes behind these values.
fn after(sql: &mut Sql, terms: &[Term], values: Vec<Vec<u8>>) -> Result<String, Error> {
    if values.len() != terms.len() {
        return Err(Error::BadCursor);
    }
    let mut text = String::new();
    // A bound on the first term alone lets an index begin there.
    if let (Some(term), Some(value)) = (terms.first(), values.first()) {
        let sign = if term.descending { "<=" } else { ">=" };
        let _ = write!(text, "{} {sign} {} AND ", term.expression, sql.bind(value.clone()));
    }
    let last = terms.len() - 1;
    for (i, (term, value)) in terms.iter().zip(values).enumerate() {
        let sign = if term.descending { "<" } else { ">" };
        let expression = &term.expression;
        let bound = sql.bind(value.clone());
        if i == last {
            let _ = write!(text, "{expression} {sign} {bound}");
        } else {
            let again = sql.bind(value);
            let _ = write!(text, "({expression} {sign} {bound} OR {expression} = {again} AND ");
        }
    }
    text.extend(core::iter::repeat_n(')', last));
    Ok(text)
}
