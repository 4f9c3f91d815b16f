//! Requests and their answers (SPEC.md 10.9), and authentication.

use super::*;
use crate::client::Query;
use crate::registry::LimitId;

fn connected() -> Client {
    let mut client = Client::new(0);
    client.open(&Hello { head: pos(7, 3), ..Hello::default() });
    client
}

fn pull(ticket: u64, collections: CollectionSet) -> Command {
    Command::Pull { ticket, pull: Pull { collections, max_operations: 10, max_bytes: 2_000 } }
}

fn query(ticket: u64, limit: u32) -> Command {
    let query = Query {
        collection: collection("c"),
        after: pos(7, 2),
        selection: Selection::default(),
        limit: PageLimit::new(limit).unwrap(),
        cursor: [].into(),
    };
    Command::Query { ticket, query: query.into() }
}

fn sync_state() -> Message<'static> {
    let extensions = Extensions::EMPTY;
    Message::SyncState(SyncState {
        head: pos(7, 3),
        operations: 3,
        nodes: 1,
        live_records: 2,
        collections: 1,
        extensions,
    })
}

fn rows<'a>(table: &'a TableBuilder, more: bool) -> Message<'a> {
    let end = if more { PageEnd::More } else { PageEnd::Last(Data::new(b"next").unwrap()) };
    Message::QueryResponse(QueryResponse {
        at: pos(7, 3),
        table: table.table(),
        end,
        extensions: Extensions::EMPTY,
    })
}

#[test]
fn a_page_is_pulled_from_the_position_on() {
    let mut client = connected();
    assert_eq!(client.command(pull(9, set(&["c"]))), ["pull #1 c from 0/0 max 10 2000"]);
    let ops = [op(Z, 1, at(1, Z), 1, 1)];
    assert_eq!(
        client.pulled(1, pos(7, 2), &[(2, &ops)]),
        [
            "commit: c.1.f = 1Z @2; c at 7/2; seen [7/2]; node A 0/0 clock 1 merged 1",
            "! changed c.1",
            "! Answered { ticket: 9, answer: Ok(Pulled { position: Position { epoch: 7, seq: 2 }, has_more: false }) }",
        ],
    );
    assert_eq!(client.command(pull(9, set(&["c"]))), ["pull #2 c from 7/2 max 10 2000"]);
    assert_eq!(client.pulled(2, pos(7, 1), &[]), closed_with(9));
}

/// A relay that breaks a rule while a command waits for its answer.
fn closed_with(ticket: u64) -> Vec<String> {
    let mut outputs = closed("PROTOCOL_ERROR").to_vec();
    outputs.insert(2, alloc::format!("! Answered {{ ticket: {ticket}, answer: Err(Ended) }}"));
    outputs
}

//= SES-72 test
#[test]
fn a_pull_from_an_unknown_position_begins_at_the_start() {
    let mut client = connected();
    client.command(pull(1, CollectionSet::ALL));
    client.pulled(1, pos(7, 2), &[]);
    client.command(pull(2, CollectionSet::ALL));
    assert_eq!(
        client.error(2, ErrorCode::POSITION_UNKNOWN, 0),
        ["commit: all at 0/0", "pull #3 all from 0/0 max 10 2000"],
    );
    assert_eq!(
        client.error(3, ErrorCode::POSITION_UNKNOWN, 0),
        [
            "! Answered { ticket: 2, answer: Err(Refused { code: POSITION_UNKNOWN, retry_after: 0, text: \"why\" }) }"
        ],
    );
}

#[test]
fn a_query_is_answered_in_several_frames() {
    let mut client = connected();
    // The relay's limit of rows is kept.
    assert_eq!(client.command(query(4, 5_000)), ["query #1 c after 7/2 limit 1000"]);
    let mut table = TableBuilder::new(1).unwrap();
    table.push_owned(&[Value::Int(5)]).unwrap();
    let at = "at: Position { epoch: 7, seq: 3 }, rows: [[Int(5)]]";
    assert_eq!(
        client.reply(1, rows(&table, true)),
        [alloc::format!("! Answered {{ ticket: 4, answer: Ok(Rows {{ {at}, more: true, cursor: [] }}) }}")],
    );
    assert_eq!(
        client.reply(1, rows(&table, false)),
        [alloc::format!(
            "! Answered {{ ticket: 4, answer: Ok(Rows {{ {at}, more: false, cursor: [110, 101, 120, 116] }}) }}"
        )],
    );
    //= SES-4 test
    assert_eq!(client.reply(1, rows(&table, false)), closed("UNEXPECTED_MESSAGE"));
}

#[test]
fn all_frames_of_an_answer_have_one_shape() {
    let mut client = connected();
    client.command(query(4, 0));
    client.reply(1, rows(&TableBuilder::new(1).unwrap(), true));
    assert_eq!(client.reply(1, rows(&TableBuilder::new(2).unwrap(), false)), closed_with(4));
}

//= MSG-7 test
#[test]
fn what_breaks_a_rule_is_not_sent() {
    let mut client = Client::new(0);
    client.open(&Hello { capabilities: Vec::new(), ..Hello::default() });
    let not_sent = |code: &str| [alloc::format!("! Answered {{ ticket: 4, answer: Err(NotSent({code})) }}")];
    assert_eq!(client.command(query(4, 0)), not_sent("NOT_NEGOTIATED"));

    let mut client = connected();
    let mut long = query(4, 0);
    if let Command::Query { query, .. } = &mut long {
        query.cursor = [0; 1_025].into();
    }
    assert_eq!(client.command(long), not_sent("TOO_LONG"));
}

#[test]
fn how_much_the_relay_holds() {
    let mut client = connected();
    assert_eq!(client.command(Command::SyncState { ticket: 3 }), ["sync state #1"]);
    assert_eq!(
        client.reply(1, sync_state()),
        [concat!(
            "! Answered { ticket: 3, answer: Ok(SyncState { head: Position { epoch: 7, seq: 3 }, ",
            "operations: 3, nodes: 1, live_records: 2, collections: 1 }) }",
        )],
    );
}

//= SES-4 test
#[test]
fn a_reply_answers_its_request() {
    let mut client = connected();
    client.command(Command::SyncState { ticket: 3 });
    assert_eq!(client.reply(2, sync_state())[0], "error UNEXPECTED_MESSAGE");

    let mut client = connected();
    client.command(Command::SyncState { ticket: 3 });
    let ack = AuthenticateAck { valid_for: 1, extensions: Extensions::EMPTY };
    assert_eq!(client.reply(1, Message::AuthenticateAck(ack))[0], "error UNEXPECTED_MESSAGE");

    let mut client = connected();
    client.command(pull(1, CollectionSet::ALL));
    assert_eq!(client.reply(1, sync_state())[0], "error UNEXPECTED_MESSAGE");

    // A push is not answered by an error of a request.
    let mut client = Client::new(1);
    client.connect();
    assert_eq!(client.error(1, ErrorCode::STORE_UNAVAILABLE, 0), closed("UNEXPECTED_MESSAGE"));
}

//= SES-6 test
#[test]
fn an_error_of_no_request_is_ignored() {
    assert_eq!(connected().error(5, ErrorCode::INTERNAL_ERROR, 0), NOTHING);
}

//= NEG-7 test
#[test]
fn requests_wait_for_room() {
    let mut client = Client::new(0);
    client.command(Command::SyncState { ticket: 1 });
    client.subscribe(CollectionSet::ALL, 9);
    client.command(Command::SyncState { ticket: 2 });
    let limits = [Limit { id: LimitId::REQUESTS, value: 2 }].into();
    assert_eq!(
        client.open(&Hello { limits, ..Hello::default() }),
        ["! active, head 0/0", "subscribe #1 1: all from 0/0 window 9", "sync state #2"],
    );
    assert_eq!(
        client.update(1, Position::START, Position::START, &[]),
        ["commit: all at 0/0", "! caught up all", "sync state #3"],
    );
}

#[test]
fn new_credentials_on_a_living_connection() {
    let mut client = connected();
    let credentials = Credentials::bearer(b"t").unwrap();
    assert_eq!(
        client.command(Command::Authenticate { ticket: 6, credentials }),
        ["authenticate #1 Token(method 1, ..)"],
    );
    let ack = AuthenticateAck { valid_for: 60, extensions: Extensions::EMPTY };
    assert_eq!(
        client.reply(1, Message::AuthenticateAck(ack)),
        ["! Answered { ticket: 6, answer: Ok(Authenticated { valid_for: 60 }) }"],
    );
}

#[test]
fn every_command_has_an_answer_when_the_connection_ends() {
    let mut client = connected();
    client.command(Command::SyncState { ticket: 1 });
    assert_eq!(
        client.input(Input::Closed),
        ["! Answered { ticket: 1, answer: Err(Ended) }", "! Ended(Transport)", "reconnect After(567)"],
    );
    let mut client = Client::new(0);
    client.command(Command::SyncState { ticket: 1 });
    assert_eq!(client.input(Input::Closed)[0], "! Answered { ticket: 1, answer: Err(Ended) }");
}
