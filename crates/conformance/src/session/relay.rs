//! A relay that is driven by JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use blazedb_relay::message::{Heartbeat, LastNodeSeq, Mark, RestoreMode, TableBuilder};
use blazedb_relay::registry::{Capabilities, Capability};
use blazedb_relay::relay::{
    self, Access, Claim, Config, ConnId, DatabaseId, Ending, Epoch, Framing, Input, NodeAppend, Output,
    Principal, Rights, StateCounts, StoredBlock, Ticket,
};
use blazedb_relay::time::Time;
use blazedb_relay::wire::CollectionName;
use core::num::NonZeroU64;
use serde_json::{Value as Json, json};

use super::{Answer, code, code_name, frame_json, single, unhexed};
use crate::meaning::json::{check, get, items, number, refuse, text};
use crate::meaning::value::value;
use crate::meaning::{Refusal, hex};

/// A relay, the clock's offset, and what its transports hold.
#[derive(Debug)]
pub struct Relay {
    relay: relay::Relay,
    unix_ms: u64,
    /// Transports take everything at once.
    takes: bool,
    unsent: BTreeMap<ConnId, usize>,
}

impl Relay {
    pub(super) fn start(start: &Json) -> Result<Self, Refusal> {
        let takes = match text(start, "transport")? {
            "takes" => true,
            "holds" => false,
            _ => return refuse("transport", "\"takes\" or \"holds\""),
        };
        Ok(Self {
            relay: relay::Relay::new(config(get(start, "config")?)?),
            unix_ms: number(start, "unix_ms")?,
            takes,
            unsent: BTreeMap::new(),
        })
    }

    pub(super) fn step(&mut self, at_ms: u64, json: &Json) -> Result<Answer, Refusal> {
        let now = Time { monotonic_ms: at_ms, unix_ms: self.unix_ms.saturating_add(at_ms) };
        self.relay.handle(now, input(json)?);
        let mut outputs = Vec::new();
        self.drain(&mut outputs);
        while self.takes
            && let Some((conn, bytes)) = self.unsent.pop_first()
        {
            self.relay.handle(now, Input::Flushed { conn, bytes });
            self.drain(&mut outputs);
        }
        Ok(Answer { outputs, timer: self.relay.poll_timeout(), state: None })
    }

    fn drain(&mut self, outputs: &mut Vec<Json>) {
        while let Some(output) = self.relay.poll_output() {
            match &output {
                Output::Send { conn, head, blocks } => {
                    let bytes = head.len() + blocks.iter().map(bytes::Bytes::len).sum::<usize>();
                    *self.unsent.entry(*conn).or_default() += bytes;
                }
                Output::Close { conn, .. } => {
                    self.unsent.remove(conn);
                }
                Output::PauseReading { .. }
                | Output::ResumeReading { .. }
                | Output::Authorize { .. }
                | Output::OpenDatabase { .. }
                | Output::CloseDatabase { .. }
                | Output::LoadNode { .. }
                | Output::Append { .. }
                | Output::Read { .. }
                | Output::MintEpoch { .. }
                | Output::RunQuery { .. }
                | Output::CountState { .. } => {}
            }
            outputs.push(output_json(&output));
        }
    }
}

fn config(json: &Json) -> Result<Config, Refusal> {
    let mut capabilities = Capabilities::NONE;
    for name in items(json, "capabilities")? {
        let capability = name.as_str().and_then(Capability::from_name);
        let Some(capability) = capability else { return refuse("capabilities", "names of capabilities") };
        capabilities = capabilities.with(capability);
    }
    Ok(Config {
        capabilities,
        heartbeat: Heartbeat::new(number(json, "heartbeat_ms")?)?,
        push_bytes: number(json, "push_bytes")?,
        push_blocks: number(json, "push_blocks")?,
        subscriptions: number(json, "subscriptions")?,
        requests: number(json, "requests")?,
        operations_per_second: number(json, "operations_per_second")?,
        rows: number(json, "rows")?,
        window: number(json, "window")?,
        connections: number(json, "connections")?,
        opening: number(json, "opening")?,
        of_one_principal: number(json, "of_one_principal")?,
        databases: number(json, "databases")?,
        later_ms: number(json, "later_ms")?,
        reconnect_after_ms: number(json, "reconnect_after_ms")?,
        jitter_ms: number(json, "jitter_ms")?,
        database_idle_ms: number(json, "database_idle_ms")?,
        // All that is delivered is read, so that a vector shows it.
        tail_bytes: 0,
        ..Config::default()
    })
}

fn optional(json: &Json, key: &str) -> Result<Option<u64>, Refusal> {
    if get(json, key)?.is_null() { Ok(None) } else { number(json, key).map(Some) }
}

fn conn(json: &Json) -> Result<ConnId, Refusal> {
    Ok(ConnId(number(json, "conn")?))
}

fn ticket(json: &Json) -> Result<Ticket, Refusal> {
    Ok(Ticket(number(json, "ticket")?))
}

fn mark(json: &Json) -> Result<Mark, Refusal> {
    Ok(Mark::new(LastNodeSeq::new(number(json, "mark")?)?, check(json, "check")?)?)
}

fn access(json: &Json) -> Result<Access, Refusal> {
    match json.as_str() {
        Some("none") => Ok(Access::NONE),
        Some("read") => Ok(Access::READ),
        Some("write") => Ok(Access::WRITE),
        Some("all") => Ok(Access::ALL),
        _ => refuse("rights", "\"none\", \"read\", \"write\" or \"all\""),
    }
}

fn rights(json: &Json) -> Result<Arc<Rights>, Refusal> {
    let json = get(json, "rights")?;
    let mut rights = Rights::new(access(get(json, "others")?)?);
    let Some(collections) = get(json, "collections")?.as_object() else {
        return refuse("collections", "an object");
    };
    for (name, json) in collections {
        rights = rights.with(&CollectionName::new(name)?, access(json)?);
    }
    Ok(Arc::new(rights))
}

fn epoch(json: &Json) -> Result<Epoch, Refusal> {
    let mode = match text(json, "restore_mode")? {
        "keep" => RestoreMode::Keep,
        "discard" => RestoreMode::Discard,
        _ => return refuse("restore_mode", "\"keep\" or \"discard\""),
    };
    let Some(id) = NonZeroU64::new(number(json, "epoch")?) else { return refuse("epoch", "not 0") };
    Ok(Epoch { id, begins: number(json, "begins")?, mode })
}

fn input(json: &Json) -> Result<Input, Refusal> {
    let (kind, of) = single(json, "input")?;
    Ok(match kind {
        "opened" => Input::Opened {
            conn: conn(of)?,
            framing: match text(of, "framing")? {
                "stream" => Framing::Stream,
                "messages" => Framing::Messages,
                _ => return refuse("framing", "\"stream\" or \"messages\""),
            },
        },
        "received" => Input::Received { conn: conn(of)?, bytes: unhexed(of, "hex")?.into() },
        "flushed" => Input::Flushed { conn: conn(of)?, bytes: number(of, "bytes")? },
        "closed" => Input::Closed { conn: conn(of)? },
        "timeout" => Input::Timeout,
        "authorized" => Input::Authorized {
            ticket: ticket(of)?,
            principal: Principal::new(text(of, "principal")?),
            rights: rights(of)?,
            valid_until_ms: optional(of, "valid_until_ms")?,
        },
        "database_opened" => Input::DatabaseOpened {
            ticket: ticket(of)?,
            head: number(of, "head")?,
            epochs: items(of, "epochs")?.iter().map(epoch).collect::<Result<_, _>>()?,
        },
        "node_loaded" => {
            let claim = get(of, "claim")?;
            let claim = if claim == "not_yours" { Claim::NotYours } else { Claim::Yours(mark(claim)?) };
            Input::NodeLoaded { ticket: ticket(of)?, claim }
        }
        "appended" => Input::Appended { ticket: ticket(of)?, first_seq: number(of, "first_seq")? },
        "blocks_read" => {
            let block = |json: &Json| -> Result<StoredBlock, Refusal> {
                Ok(StoredBlock { first_seq: number(json, "first_seq")?, bytes: unhexed(json, "hex")?.into() })
            };
            let blocks = items(of, "blocks")?.iter().map(block).collect::<Result<_, _>>()?;
            Input::BlocksRead { ticket: ticket(of)?, blocks }
        }
        "epoch_minted" => Input::EpochMinted { ticket: ticket(of)?, epoch: epoch(of)? },
        "rows" => Input::Rows {
            ticket: ticket(of)?,
            at: number(of, "at")?,
            tables: items(of, "tables")?
                .iter()
                .map(|json| table(number(of, "columns")?, json))
                .collect::<Result<_, _>>()?,
            cursor: unhexed(of, "cursor")?.into(),
        },
        "state_counted" => {
            let counts = StateCounts {
                seq: number(of, "seq")?,
                operations: number(of, "operations")?,
                nodes: number(of, "nodes")?,
                live_records: number(of, "live_records")?,
                collections: number(of, "collections")?,
            };
            Input::StateCounted { ticket: ticket(of)?, counts }
        }
        "failed" => Input::Failed { ticket: ticket(of)?, code: code(of, "code")? },
        "log_lost" => Input::LogLost { database: DatabaseId(number(of, "database")?) },
        "rights_changed" => Input::RightsChanged { conn: conn(of)?, rights: rights(of)? },
        "shutdown" => Input::Shutdown,
        _ => return refuse("input", "an input of a relay"),
    })
}

fn table(columns: usize, json: &Json) -> Result<TableBuilder, Refusal> {
    let mut table = TableBuilder::new(columns)?;
    let Some(rows) = json.as_array() else { return refuse("tables", "a list of rows") };
    for row in rows {
        let Some(cells) = row.as_array() else { return refuse("tables", "rows of values") };
        table.push_owned(&cells.iter().map(value).collect::<Result<Vec<_>, _>>()?)?;
    }
    Ok(table)
}

fn mark_json(mark: Mark) -> Json {
    json!({ "mark": mark.node_seq().get().to_string(), "check": format!("{:08x}", mark.check()) })
}

fn append_json(node: &NodeAppend) -> Json {
    let block = |block: &relay::AppendBlock| {
        json!({
            "first_node_seq": block.first_node_seq.to_string(),
            "count": block.count.to_string(),
            "hex": hex(&block.bytes),
        })
    };
    json!({
        "node": node.node.to_string(),
        "owner": node.owner.as_ref().map(|owner| {
            json!({ "principal": owner.principal.as_str(), "node_key": hex(&owner.key.0) })
        }),
        "builds_on": mark_json(node.builds_on),
        "becomes": mark_json(node.mark),
        "blocks": node.blocks.iter().map(block).collect::<Vec<_>>(),
    })
}

fn output_json(output: &Output) -> Json {
    let n = |number: u64| number.to_string();
    match output {
        Output::Send { conn, head, blocks } => {
            let frame = [&head[..], &blocks.concat()].concat();
            let mut json = frame_json(&frame);
            json["conn"] = json!(n(conn.0));
            json!({ "send": json })
        }
        Output::Close { conn, ending } => {
            let with = match ending {
                Ending::Error(code) => code_name(*code),
                Ending::Done => "done",
                Ending::GoingDown => "going_down",
            };
            json!({ "close": { "conn": n(conn.0), "with": with } })
        }
        Output::PauseReading { conn } => json!({ "pause_reading": { "conn": n(conn.0) } }),
        Output::ResumeReading { conn } => json!({ "resume_reading": { "conn": n(conn.0) } }),
        Output::Authorize { ticket, conn, database, credentials } => json!({ "authorize": {
            "ticket": n(ticket.0),
            "conn": n(conn.0),
            "database": database.as_str(),
            "method": credentials.method.to_string(),
            "authentication": hex(&credentials.token),
        } }),
        Output::OpenDatabase { ticket, database, name } => json!({ "open_database": {
            "ticket": n(ticket.0), "database": n(database.0), "name": name.as_str(),
        } }),
        Output::CloseDatabase { database } => json!({ "close_database": { "database": n(database.0) } }),
        Output::LoadNode { ticket, database, node, key, principal } => json!({ "load_node": {
            "ticket": n(ticket.0),
            "database": n(database.0),
            "node": node.to_string(),
            "node_key": hex(&key.0),
            "principal": principal.as_str(),
        } }),
        Output::Append { ticket, database, nodes } => json!({ "append": {
            "ticket": n(ticket.0),
            "database": n(database.0),
            "nodes": nodes.iter().map(append_json).collect::<Vec<_>>(),
        } }),
        Output::Read { ticket, database, after, .. } => json!({ "read": {
            "ticket": n(ticket.0), "database": n(database.0), "after": n(*after),
        } }),
        Output::MintEpoch { ticket, database } => json!({ "mint_epoch": {
            "ticket": n(ticket.0), "database": n(database.0),
        } }),
        Output::RunQuery { ticket, database, query, after, limit } => json!({ "run_query": {
            "ticket": n(ticket.0),
            "database": n(database.0),
            "collection": query.query().map(|query| query.collection.as_str()),
            "after": n(*after),
            "limit": limit.to_string(),
        } }),
        Output::CountState { ticket, database } => json!({ "count_state": {
            "ticket": n(ticket.0), "database": n(database.0),
        } }),
    }
}
