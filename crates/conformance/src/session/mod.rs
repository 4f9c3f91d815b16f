//! Session vectors: both state machines driven by the JSON of test-vectors/README.md, the comparison of
//! what they do, and the walk through a vector.

mod client;
mod compare;
mod relay;
mod run;
mod state;

use serde_json::{Value as Json, json};

pub use client::Client;
pub use compare::{differ, differ_state};
pub use relay::Relay;
pub use run::{Peer, Test, This, run};

use crate::meaning::json::{refuse, text};
use crate::meaning::{Context, Refusal, Target, decode, hex, unhex};

/// Which end of a connection a vector is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The relay's.
    Relay,
    /// The client's.
    Client,
}

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Relay, Self::Client];

    /// The target of its vectors.
    #[must_use]
    pub const fn target(self) -> &'static str {
        match self {
            Self::Relay => "session/relay",
            Self::Client => "session/client",
        }
    }

    /// The role that a target is for.
    #[must_use]
    pub fn of(target: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.target() == target)
    }
}

/// What an end does at one input.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// What it put out, in order.
    pub outputs: Vec<Json>,
    /// When it wants to be told the time, in milliseconds.
    pub timer: Option<u64>,
    /// What it keeps durably then, if it is a client.
    pub state: Option<Json>,
}

impl Answer {
    /// As the harness protocol carries it.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut json = json!({ "outputs": self.outputs, "timer_ms": self.timer.map(|at| at.to_string()) });
        if let Some(state) = &self.state {
            json["state"] = state.clone();
        }
        json
    }

    /// From an answer of the harness protocol.
    #[must_use]
    pub fn from_json(json: &Json) -> Option<Self> {
        Some(Self {
            outputs: json.get("outputs")?.as_array()?.clone(),
            timer: match json.get("timer_ms")?.as_str() {
                None => None,
                Some(at) => Some(at.parse().ok()?),
            },
            state: json.get("state").cloned(),
        })
    }
}

/// One of this implementation's ends.
#[derive(Debug)]
pub enum Machine {
    /// A relay.
    Relay(Box<Relay>),
    /// A client.
    Client(Box<Client>),
}

impl Machine {
    /// An end that begins so; chance comes from the seed.
    ///
    /// # Errors
    /// If the JSON is not of the form that test-vectors/README.md describes.
    pub fn start(role: Role, start: &Json, seed: u64) -> Result<Self, Refusal> {
        Ok(match role {
            Role::Relay => Self::Relay(Box::new(Relay::start(start)?)),
            Role::Client => Self::Client(Box::new(Client::start(start, seed)?)),
        })
    }

    /// Takes one input.
    ///
    /// # Errors
    /// If the JSON is not of the form that test-vectors/README.md describes.
    pub fn step(&mut self, at_ms: u64, input: &Json) -> Result<Answer, Refusal> {
        match self {
            Self::Relay(relay) => relay.step(at_ms, input),
            Self::Client(client) => client.step(at_ms, input),
        }
    }
}

/// The only key of an input, and what stands there.
fn single<'a>(json: &'a Json, what: &str) -> Result<(&'a str, &'a Json), Refusal> {
    match json.as_object().map(|object| (object.len(), object.iter().next())) {
        Some((1, Some((key, value)))) => Ok((key, value)),
        _ => refuse(what, "an object with one key"),
    }
}

fn code(json: &Json, key: &str) -> Result<blazedb_relay::registry::ErrorCode, Refusal> {
    let name = text(json, key)?;
    blazedb_relay::registry::ErrorCode::from_name(name)
        .map_or_else(|| refuse(key, "the name of an error code"), Ok)
}

/// The name of a code; one that is not in the table means `INTERNAL_ERROR` (ERR-3).
fn code_name(code: blazedb_relay::registry::ErrorCode) -> &'static str {
    code.name().or_else(|| blazedb_relay::registry::ErrorCode::INTERNAL_ERROR.name()).unwrap_or_default()
}

/// What a frame means, or null if it is not one whole legal frame.
#[must_use]
pub fn meaning(frame: &[u8]) -> Json {
    let context = Context::default();
    decode(Target::Message, frame, &context).map(|decoded| decoded.value).unwrap_or_default()
}

/// What the frames mean that `bytes` are, if they are whole and legal.
#[must_use]
pub fn meanings(mut bytes: &[u8]) -> Option<Vec<Json>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let length = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
        let (frame, rest) = bytes.split_at_checked(20 + length(8)? + length(12)?)?;
        all.push(Some(meaning(frame)).filter(|meaning| !meaning.is_null())?);
        bytes = rest;
    }
    Some(all)
}

fn frame_json(frame: &[u8]) -> Json {
    json!({ "hex": hex(frame), "message": meaning(frame) })
}

fn unhexed(json: &Json, key: &str) -> Result<Vec<u8>, Refusal> {
    unhex(text(json, key)?).map_or_else(|| refuse(key, "hex"), Ok)
}

/// The name of an error code.
#[must_use]
pub fn error_name(code: u16) -> &'static str {
    code_name(blazedb_relay::registry::ErrorCode(code))
}
