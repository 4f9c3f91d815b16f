//! No text of a query is ever a part of a statement (SEC-4).

use blazedb_relay::message::{Filter, Join, Path, Selection, SortBy};
use blazedb_relay::value::{Entries, Value};
use blazedb_relay::wire::CollectionName;
use proptest::prelude::*;

use super::bytes;
use super::random::{Choices, query};
use super::tables::Tables;

/// The same query with every name and every text replaced by what `other` makes of it.
struct Replaced<'t>(&'t dyn Fn(&str) -> String);

impl Replaced<'_> {
    fn text(&self, text: &str) -> Box<str> {
        (self.0)(text).into()
    }

    fn path(&self, path: &Path) -> Path {
        let components = path.components.iter().map(|component| self.text(component)).collect();
        Path { source: path.source, components }
    }

    fn collection(&self, name: &CollectionName) -> CollectionName {
        CollectionName::new(&self.text(name.as_str())).unwrap()
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "all others have no text")]
    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Data(_) => Value::Data(self.text("").as_bytes().into()),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.value(item)).collect()),
            Value::Dictionary(entries) => {
                let entries = entries.iter().enumerate();
                let entries = entries
                    .map(|(i, (key, value))| (format!("{i}{}", self.text(key)).into(), self.value(value)));
                Value::Dictionary(Entries::new(entries.collect()).unwrap())
            }
            value => value.clone(),
        }
    }

    fn filter(&self, filter: &Filter) -> Filter {
        let all = |all: &[Filter]| all.iter().map(|one| self.filter(one)).collect();
        match filter {
            Filter::All => Filter::All,
            Filter::And(operands) => Filter::And(all(operands)),
            Filter::Or(operands) => Filter::Or(all(operands)),
            Filter::Not(operand) => Filter::Not(self.filter(operand).into()),
            Filter::Compare(comparison, path, value) => {
                Filter::Compare(*comparison, self.path(path), self.value(value))
            }
            Filter::In(path, values) => {
                Filter::In(self.path(path), values.iter().map(|value| self.value(value)).collect())
            }
            Filter::Between(path, low, high) => {
                Filter::Between(self.path(path), self.value(low), self.value(high))
            }
            Filter::Contains(path, value) => Filter::Contains(self.path(path), self.value(value)),
            Filter::StartsWith(path, text) => Filter::StartsWith(self.path(path), self.text(text)),
            Filter::Exists(path) => Filter::Exists(self.path(path)),
        }
    }

    fn selection(&self, selection: &Selection) -> Selection {
        let mut replaced = selection.clone();
        replaced.filter = self.filter(&selection.filter);
        let join = |join: &Join| Join {
            kind: join.kind,
            collection: self.collection(&join.collection),
            left: self.path(&join.left),
            right: self.path(&join.right),
        };
        replaced.joins = selection.joins.iter().map(join).collect();
        for path in replaced.group_by.iter_mut().chain(&mut replaced.projection) {
            *path = self.path(path);
        }
        replaced.aggregates.iter_mut().for_each(|aggregate| aggregate.path = self.path(&aggregate.path));
        for sort in &mut replaced.sort {
            if let SortBy::Path(path) = &mut sort.by {
                *path = self.path(path);
            }
        }
        replaced
    }
}

const HOSTILE: [&str; 12] = [
    "'",
    "\"",
    "`",
    "]",
    "\\",
    "\0",
    "; DROP TABLE records; --",
    "' OR '1'='1",
    "?1",
    "/*",
    "\u{202E}",
    "x'01'",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    //= SEC-4 test
    #[test]
    fn a_statement_does_not_depend_on_texts(
        queries in bytes(300), parts in prop::collection::vec(0..HOSTILE.len(), 1..4), any in "\\PC{0,8}"
    ) {
        let hostile: String = parts.iter().map(|part| HOSTILE[*part]).collect();
        let other = move |text: &str| format!("MARK{hostile}{any}{text}");
        let replaced = Replaced(&other);
        let mut tables = Tables::new();
        let mut choices = Choices::new(&queries);
        while !choices.is_over() {
            let (collection, selection) = query(&mut choices);
            let plain = tables.plan(collection, &selection, &[]);
            let name = replaced.collection(&CollectionName::new(collection).unwrap());
            let selection = replaced.selection(&selection);
            let hostile = tables.plan(name.as_str(), &selection, &[]);
            prop_assert_eq!(&plain.statement, &hostile.statement);
            prop_assert_eq!(plain.parameters, hostile.parameters);
            prop_assert!(!hostile.statement.contains("MARK"));
            tables.page(name.as_str(), &selection, 10, &[]).unwrap();
        }
    }
}
