//! Queries over tables, against an evaluator that does nothing but what SPEC.md 7.15 says.

#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails says so"
)]

mod clauses;
mod indexed;
mod limits;
mod naive;
mod random;
mod structure;
mod tables;

use blazedb_relay::merge::State;
use blazedb_relay::value::Value;
use proptest::prelude::*;
use random::Choices;
use tables::{Record, Tables, rows};

/// What the naive evaluator answers.
fn expected(
    state: &State,
    collection: &str,
    selection: &blazedb_relay::message::Selection,
) -> Vec<Vec<Value>> {
    let joined = selection.joins.iter().map(|join| join.collection.as_str());
    let records: Vec<Vec<Record>> =
        core::iter::once(collection).chain(joined).map(|name| state.records(name).collect()).collect();
    let records: Vec<_> = records.iter().map(Vec::as_slice).collect();
    naive::answer(&records, selection)
}

fn bytes(size: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..size)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_those_of_the_naive_evaluator(
        writes in bytes(400), indexes in bytes(12), queries in bytes(400), page in 1_u32..5
    ) {
        let mut state = State::new();
        let mut choices = Choices::new(&writes);
        let mut number = 0;
        while !choices.is_over() {
            number += 1;
            random::change(&mut choices, &mut state, number);
        }
        let mut large = writes.iter();
        let mut tables = Tables::of(&state, || large.next().is_some_and(|byte| byte % 5 == 4));
        let mut choices = Choices::new(&queries);
        let mut asked = Vec::new();
        while !choices.is_over() {
            let (collection, selection) = random::query(&mut choices);
            let expected = expected(&state, collection, &selection);
            prop_assert_eq!(&tables.rows(collection, &selection), &expected, "{:?}", selection);
            asked.push((collection, selection, expected));
        }
        let mut choices = Choices::new(&indexes);
        let mut number = 0;
        while !choices.is_over() {
            number += 1;
            let (collection, fields) = random::index(&mut choices);
            let fields: Vec<_> = fields.iter().map(Vec::as_slice).collect();
            tables.add_index(number, collection, &fields);
        }
        for (collection, selection, expected) in asked {
            prop_assert_eq!(&tables.rows(collection, &selection), &expected, "indexed {:?}", selection);
            let mut paged = Vec::new();
            let mut cursor = Vec::new();
            loop {
                let answer = tables.page(collection, &selection, page, &cursor).unwrap();
                let rows = rows(&answer);
                prop_assert!(rows.len() <= page as usize);
                paged.extend(rows);
                cursor = answer.cursor;
                if cursor.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(&paged, &expected, "paged {:?}", selection);
        }
    }
}
