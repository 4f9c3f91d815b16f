//! A client that is driven by JSON.

use std::collections::VecDeque;

use blazedb_relay::client::{
    Answer as Answered, Backoff, Change, Command, Config, Credentials, End, Event, Failure, Identity, Input,
    Offer, Output, Pull, Reconnect, Replica, Session, Write, WriteError,
};
use blazedb_relay::time::Time;
use blazedb_relay::value::Fields;
use blazedb_relay::wire::{CollectionName, DatabaseName, FieldName};
use serde_json::{Value as Json, json};

use super::state::{collections, collections_json, identity, rows, state_json};
use super::{Answer, code_name, frame_json, single, unhexed};
use crate::meaning::Refusal;
use crate::meaning::json::{
    get, items, number, position_json, refuse, text, timestamp, timestamp_json, uuid,
};
use crate::meaning::value::{fields, owned_json};

/// A replica, its session, and what it is told about itself.
#[derive(Debug)]
pub struct Client {
    replica: Replica,
    session: Session,
    config: Config,
    seed: u64,
    /// What the client becomes, in this order, whenever it becomes a new node.
    identities: VecDeque<Identity>,
    /// What was durable when the last commit was put out.
    told: Json,
}

impl Client {
    pub(super) fn start(start: &Json, seed: u64) -> Result<Self, Refusal> {
        let identities = items(start, "identities")?.iter().map(identity).collect::<Result<_, _>>()?;
        let Ok(replica) = Replica::load(rows(get(start, "state")?)?) else {
            return refuse("state", "what a client keeps");
        };
        let config = config(get(start, "config")?, seed)?;
        let spare = replica.node().identity;
        let session = Session::new(config.clone(), spare, Backoff::default());
        let mut client = Self { replica, session, config, seed, identities, told: Json::Null };
        client.connect(Backoff::default());
        client.told = client.durable();
        Ok(client)
    }

    /// Begins another connection of the same replica.
    fn connect(&mut self, backoff: Backoff) {
        if self.identities.front() == Some(&self.replica.node().identity) {
            self.identities.pop_front();
        }
        let spare = self.identities.front().copied().unwrap_or_else(|| self.replica.node().identity);
        self.seed = self.seed.wrapping_add(1);
        let config = Config { seed: self.seed, ..self.config.clone() };
        self.session = Session::new(config, spare, backoff);
    }

    pub(super) fn step(&mut self, at_ms: u64, json: &Json) -> Result<Answer, Refusal> {
        let now = Time { monotonic_ms: at_ms, unix_ms: 0 };
        let mut outputs = Vec::new();
        let (kind, of) = single(json, "input")?;
        let input = match kind {
            "connect" => {
                if !of.is_null() && of.get("capabilities").is_some() {
                    self.config = config(of, self.seed)?;
                }
                self.connect(self.session.backoff());
                None
            }
            "opened" => Some(Input::Opened),
            "received" => Some(Input::Received(unhexed(of, "hex")?.into())),
            "closed" => Some(Input::Closed),
            "timeout" => Some(Input::Timeout),
            "write" => {
                match self.write(of)? {
                    Ok(()) => outputs.push(json!({ "commit": {} })),
                    Err(error) => outputs.push(json!({ "refused": { "why": refusal(&error) } })),
                }
                self.told = self.durable();
                Some(Input::Written)
            }
            "abandon" => {
                let spare = self.identities.front().copied().unwrap_or_else(|| self.replica.node().identity);
                let changes = self.replica.abandon(timestamp(of)?, spare);
                self.committed(&changes, &mut outputs);
                Some(Input::Written)
            }
            "subscribe" => {
                let window = number(of, "window")?;
                Some(Input::Command(Command::Subscribe { collections: collections(of)?, window }))
            }
            "unsubscribe" => Some(Input::Command(Command::Unsubscribe(collections(of)?))),
            "window" => {
                let window = number(of, "window")?;
                Some(Input::Command(Command::Window { collections: collections(of)?, window }))
            }
            "pull" => Some(Input::Command(Command::Pull {
                ticket: number(of, "ticket")?,
                pull: Pull {
                    collections: collections(of)?,
                    max_operations: number(of, "max_operations")?,
                    max_bytes: number(of, "max_bytes")?,
                },
            })),
            "query" => Some(Input::Command(Command::Query {
                ticket: number(of, "ticket")?,
                query: Box::new(query(of)?),
            })),
            "sync_state" => Some(Input::Command(Command::SyncState { ticket: number(of, "ticket")? })),
            "authenticate" => Some(Input::Command(Command::Authenticate {
                ticket: number(of, "ticket")?,
                credentials: credentials(of)?,
            })),
            "close" => Some(Input::Command(Command::Close)),
            _ => return refuse("input", "an input of a client"),
        };
        if let Some(input) = input {
            self.session.handle(&mut self.replica, now, input);
        }
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Commit(changes) => self.committed(&changes, &mut outputs),
                Output::Send(frame) => outputs.push(json!({ "send": frame_json(&frame) })),
                Output::Close(code) => outputs.push(json!({ "close": { "with": code.map(code_name) } })),
                Output::Event(event) => outputs.extend(event_json(&event).map(|it| json!({ "event": it }))),
                Output::Reconnect(when) => outputs.push(json!({ "reconnect": reconnect_json(when) })),
            }
        }
        // Tells of all commits of the input are put out in one state.
        self.told = self.durable();
        let state = state_json(&self.replica, |write| self.session.write_state(&self.replica, write));
        Ok(Answer { outputs, timer: self.session.poll_timeout(), state: Some(state) })
    }

    fn committed(&self, changes: &[Change], outputs: &mut Vec<Json>) {
        // Two in a row are one for who looks from outside; and only what is in the state counts.
        let last = outputs.last().is_some_and(|last| last.get("commit").is_some());
        if !changes.is_empty() && !last && self.durable() != self.told {
            outputs.push(json!({ "commit": {} }));
        }
    }

    /// What is durable, in the form of the state, without what one connection knows.
    fn durable(&self) -> Json {
        let mut state = state_json(&self.replica, |write| self.replica.write_state(write));
        if let Some(state) = state.as_object_mut() {
            state.remove("view");
        }
        state
    }

    fn write(&mut self, json: &Json) -> Result<Result<(), WriteError>, Refusal> {
        let mut writes = Vec::new();
        for write in items(json, "writes")? {
            let collection = CollectionName::new(text(write, "collection")?)?;
            let record = uuid(write, "record")?;
            let fields = |json: &Json| -> Result<Fields, Refusal> { fields(json) };
            writes.push(match text(write, "kind")? {
                "insert" => Write::insert(collection, record, fields(write)?),
                "update" => Write::update(collection, record, fields(write)?),
                "delete" => Write::delete(collection, record),
                "increment" => {
                    let field = FieldName::new(text(write, "field")?)?;
                    Write::increment(collection, record, (field, &[]), number(write, "by")?)
                }
                _ => return refuse("kind", "\"insert\", \"update\", \"delete\" or \"increment\""),
            });
        }
        Ok(self.replica.write(&writes).map(|_| ()))
    }
}

const fn refusal(error: &WriteError) -> &'static str {
    if matches!(error, WriteError::ClockUsedUp) {
        "clock_used_up"
    } else if matches!(error, WriteError::TransactionTooLarge) {
        "transaction_too_large"
    } else {
        "cannot_be_written"
    }
}

fn config(json: &Json, seed: u64) -> Result<Config, Refusal> {
    let mut config = Config::new(DatabaseName::new(text(json, "database")?)?, seed);
    config.credentials = credentials(json)?;
    config.update_bytes = number(json, "update_bytes")?;
    (config.crdt, config.compression, config.query) = (Offer::Not, Offer::Not, Offer::Not);
    for id in items(json, "capabilities")? {
        let id: u16 = id.as_str().and_then(|id| id.parse().ok()).unwrap_or_default();
        let offer = if id.is_multiple_of(2) { Offer::Must } else { Offer::Can };
        let capability = blazedb_relay::registry::Capability(id).optional();
        match capability.name() {
            Some("crdt") => config.crdt = offer,
            Some("compression") => config.compression = offer,
            Some("query") => config.query = offer,
            _ => return refuse("capabilities", "numbers of crdt, compression and query"),
        }
    }
    Ok(config)
}

fn credentials(json: &Json) -> Result<Credentials, Refusal> {
    match text(json, "authentication_method")? {
        "0" => Ok(Credentials::NONE),
        "1" => Ok(Credentials::bearer(&unhexed(json, "authentication")?)?),
        _ => refuse("authentication_method", "\"0\" or \"1\""),
    }
}

fn query(json: &Json) -> Result<blazedb_relay::client::Query, Refusal> {
    Ok(blazedb_relay::client::Query {
        collection: CollectionName::new(text(json, "collection")?)?,
        after: crate::meaning::json::position(get(json, "after")?)?,
        selection: blazedb_relay::message::Selection::default(),
        limit: blazedb_relay::message::PageLimit::new(number(json, "limit")?)?,
        cursor: unhexed(json, "cursor")?.into(),
    })
}

fn reconnect_json(when: Reconnect) -> Json {
    match when {
        Reconnect::After(ms) => json!({ "after_ms": ms.to_string() }),
        Reconnect::WhenNeeded(ms) => json!({ "when_needed_ms": ms.to_string() }),
        Reconnect::OnOrder => json!({ "on_order": true }),
    }
}

/// What every application has to be told; the rest shows in the state.
#[allow(clippy::wildcard_enum_match_arm, reason = "what does not stand here is no part of the vectors")]
fn event_json(event: &Event) -> Option<Json> {
    Some(match event {
        Event::RestoreRefused { write, code } => {
            json!({ "type": "restore_refused", "write": timestamp_json(*write), "code": code_name(*code) })
        }
        Event::CannotSend { write, needs } => {
            json!({ "type": "cannot_send", "write": timestamp_json(*write), "needs": needs.name() })
        }
        Event::SubscriptionEnded { collections, failure } => json!({
            "type": "subscription_ended",
            "collections": collections_json(collections),
            "failure": failure_json(failure),
        }),
        Event::Answered { ticket, answer } => {
            let mut json = json!({ "type": "answered", "ticket": ticket.to_string() });
            match answer {
                Ok(answer) => json["ok"] = answer_json(answer),
                Err(failure) => json["failure"] = failure_json(failure),
            }
            json
        }
        Event::UpgradeNeeded => json!({ "type": "upgrade_needed" }),
        Event::Ended(end) => json!({ "type": "ended", "why": end_json(end) }),
        _ => return None,
    })
}

fn end_json(end: &End) -> Json {
    match end {
        End::Ordered => json!("ordered"),
        End::Transport => json!("transport"),
        End::Goodbye(_) => json!("goodbye"),
        End::Refused { code, .. } => json!({ "refused": code_name(*code) }),
        End::Fault(code) => json!({ "fault": code_name(*code) }),
        End::NewNode => json!("new_node"),
    }
}

fn failure_json(failure: &Failure) -> Json {
    match failure {
        Failure::Refused { code, .. } => json!({ "refused": code_name(*code) }),
        Failure::NotSent(code) => json!({ "not_sent": code_name(*code) }),
        Failure::Ended => json!("ended"),
    }
}

fn answer_json(answer: &Answered) -> Json {
    match answer {
        Answered::Pulled { position, has_more } => {
            json!({ "position": position_json(*position), "has_more": has_more })
        }
        Answered::Rows { at, rows, more, cursor } => json!({
            "at": position_json(*at),
            "rows": rows.iter().map(|row| row.iter().map(owned_json).collect::<Vec<_>>()).collect::<Vec<_>>(),
            "more": more,
            "cursor": crate::meaning::hex(cursor),
        }),
        Answered::SyncState { head, operations, nodes, live_records, collections } => json!({
            "head": position_json(*head),
            "operations": operations.to_string(),
            "nodes": nodes.to_string(),
            "live_records": live_records.to_string(),
            "collections": collections.to_string(),
        }),
        Answered::Authenticated { valid_for } => json!({ "valid_for": valid_for.to_string() }),
    }
}
