//! The merge: a model of it, its vectors, and its part of the harness protocol.

mod model;

use std::collections::BTreeMap;

use blazedb_relay::merge::{Heard, State};
use blazedb_relay::op::{Op, OpRef};
use serde_json::{Value as Json, json};

pub use model::{Content, Model};

use crate::meaning::{self, Context, Refusal, Target};

/// The fields of all live records of a state.
#[must_use]
pub fn contents(state: &State) -> Content {
    let mut contents = Content::new();
    for collection in state.collections() {
        let records: BTreeMap<_, _> = state
            .records(collection)
            .map(|(record, fields)| {
                let fields = fields.iter().map(|(name, value)| (name.to_owned(), value.clone()));
                (record, fields.collect())
            })
            .collect();
        if !records.is_empty() {
            contents.insert(collection.into(), records);
        }
    }
    contents
}

/// Contents as the JSON of merge vectors.
#[must_use]
pub fn contents_json(contents: &Content) -> Json {
    let fields = |fields: &BTreeMap<_, _>| -> Json {
        fields.iter().map(|(name, value)| json!([name, meaning::value_json(value)])).collect()
    };
    let records = |records: &BTreeMap<uuid::Uuid, _>| -> Json {
        Json::Object(records.iter().map(|(record, of)| (record.to_string(), fields(of))).collect())
    };
    Json::Object(contents.iter().map(|(name, of)| (name.clone(), records(of))).collect())
}

/// Operations from the JSON of test-vectors/README.md.
///
/// # Errors
/// If one of them is not of that form, or says what the protocol cannot carry.
pub fn ops(json: &[Json]) -> Result<Vec<Op>, Refusal> {
    json.iter()
        .map(|op| {
            let bytes = meaning::encode(Target::Op, op, &Context::default())?;
            let op = OpRef::decode(&bytes).map_err(Refusal::Decode)?;
            Op::try_from(op).map_err(Refusal::Build)
        })
        .collect()
}

/// The state of these operations, merged in this order.
#[must_use]
pub fn state<'a>(ops: impl IntoIterator<Item = &'a Op>) -> State {
    let mut state = State::new();
    for (op, seq) in ops.into_iter().zip(1..) {
        state.apply_owned(op, Heard::at(seq), &mut ());
    }
    state
}

/// What these operations, merged in this order, leave: the `state` of the harness protocol.
///
/// # Errors
/// As [`ops`].
pub fn answer(json: &[Json]) -> Result<Json, Refusal> {
    Ok(contents_json(&contents(&state(&ops(json)?))))
}
