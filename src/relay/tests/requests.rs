//! Pull, query, sync state, authenticate (SPEC.md 10.9, 11.7 and 11.10).

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;
use crate::message::{
    Authenticate, Authentication, CollectionRef, Cursor, Data, Extensions, Join, JoinKind, List, Message,
    PageLimit, Path, PullRequest, Query, Selection, SyncStateRequest, TableBuilder,
};
use crate::registry::ErrorCode;
use crate::relay::{Access, Config, ConnId, Input, Principal, Rights};
use crate::value::Value;
use crate::wire::{CollectionName, Position};

fn pull(id: u32, from: (u64, u64), collections: &[&str], operations: u32, bytes: u32) -> Vec<u8> {
    let names: Vec<_> = collections.iter().map(|name| CollectionRef::new(name).unwrap()).collect();
    let pull = PullRequest {
        from: Position::new(from.0, from.1).unwrap(),
        collections: List::new(&names).unwrap(),
        max_operations: operations,
        max_bytes: bytes,
        extensions: Extensions::EMPTY,
    };
    request(id, Message::PullRequest(pull))
}

fn count(id: u32) -> Vec<u8> {
    request(id, Message::SyncStateRequest(SyncStateRequest { extensions: Extensions::EMPTY }))
}

/// A query over `bugs`, joined with `people`.
fn query(id: u32, after: (u64, u64), limit: u32) -> Vec<u8> {
    let path = |source| Path::of(source, &["x"]);
    let join = Join {
        kind: JoinKind::Left,
        collection: CollectionName::new("people").unwrap(),
        left: path(0),
        right: path(1),
    };
    let selection = Selection { joins: vec![join], ..Selection::default() };
    let mut buffer = Vec::new();
    let query = Query {
        collection: CollectionRef::new("bugs").unwrap(),
        after: Position::new(after.0, after.1).unwrap(),
        selection: selection.encode(&mut buffer).unwrap(),
        limit: PageLimit::new(limit).unwrap(),
        cursor: Cursor::EMPTY,
        extensions: Extensions::EMPTY,
    };
    request(id, Message::Query(query))
}

fn authenticate(id: u32, token: &str) -> Vec<u8> {
    let authentication = Authentication::bearer(Data::new(token.as_bytes()).unwrap());
    request(id, Message::Authenticate(Authenticate { authentication, extensions: Extensions::EMPTY }))
}

/// Three blocks of node 1 in the log, of which the second has two operations of `b`.
fn filled(config: Config) -> World {
    let mut world = World::new(config);
    world.join(1);
    let blocks =
        [block(1, 1, &[("a", 1), ("b", 2)]), block(1, 3, &[("b", 3), ("b", 4)]), block(1, 5, &[("a", 5)])];
    world.send(1, push(1, &blocks));
    world.answer();
    world
}

//= RLY-44 test
//= RLY-35 test
#[test]
fn pages_of_a_log() {
    for tail_bytes in [0, 1 << 20] {
        let mut world = filled(Config { tail_bytes, ..Config::default() });
        let mut pulled = |bytes: Vec<u8>| {
            let outputs = world.send(1, bytes);
            if tail_bytes == 0 && !world.asked.is_empty() { world.answer() } else { outputs }
        };
        // The client's own blocks are in it.
        assert_eq!(pulled(pull(2, (0, 0), &[], 0, 0)), ["1 < pulled #2 e1:5 [1:2 3:2 5:1]"]);
        assert_eq!(pulled(pull(2, (0, 0), &[], 3, 0)), ["1 < pulled #2 e1:2 more [1:2]"]);
        assert_eq!(pulled(pull(2, (1, 2), &[], 4, 0)), ["1 < pulled #2 e1:5 [3:2 5:1]"]);
        // A block is sent even if it is more than was asked for.
        assert_eq!(pulled(pull(2, (1, 2), &[], 1, 1)), ["1 < pulled #2 e1:4 more [3:2]"]);
        assert_eq!(pulled(pull(2, (1, 1), &["a"], 0, 0)), ["1 < pulled #2 e1:5 [1:1/2 5:1]"]);
        // Nothing of these: the position moves.
        assert_eq!(pulled(pull(2, (0, 0), &["c"], 0, 0)), ["1 < pulled #2 e1:5 []"]);
        assert_eq!(pulled(pull(2, (1, 5), &[], 0, 0)), ["1 < pulled #2 e1:5 []"]);
    }
}

//= SES-71 test
//= SES-73 test
#[test]
fn pulls_keep_to_rights_and_history() {
    let mut world = World::new(Config::default());
    let open = CollectionName::new("open").unwrap();
    world.rights = Rights::new(Access::NONE).with(&open, Access::READ).into();
    world.join(1);
    assert_eq!(world.send(1, pull(2, (0, 0), &[], 0, 0)), ["1 < error #2 Request FORBIDDEN"]);
    assert_eq!(world.send(1, pull(2, (2, 0), &["open"], 0, 0)), ["1 < error #2 Request POSITION_UNKNOWN"]);
    assert_eq!(world.send(1, pull(2, (0, 0), &["open"], 0, 0)), ["1 < pulled #2 0 []"]);
}

//= RLY-57 test
#[test]
fn sync_state_is_counted() {
    let mut world = filled(Config::default());
    assert_eq!(world.send(1, count(2)), ["count"]);
    assert_eq!(world.answer(), ["1 < sync state #2 e1:5 5"]);
    assert_eq!(world.send(1, count(3)), ["count"]);
    assert_eq!(world.fail(ErrorCode::INTERNAL_ERROR), ["1 < error #3 Request INTERNAL_ERROR"]);
}

/// The answer to the query that was asked first: tables with that many rows.
fn rows(world: &mut World, rows: &[usize], cursor: &'static [u8]) -> Vec<String> {
    let table = |rows: &usize| {
        let mut table = TableBuilder::new(1).unwrap();
        (0..*rows).for_each(|_| table.push_owned(&[Value::from("a value")]).unwrap());
        table
    };
    let ticket = world::ticket(&world.question());
    let tables = rows.iter().map(table).collect();
    world.input(Input::Rows { ticket, at: 5, tables, cursor: Bytes::from_static(cursor) })
}

//= RLY-53 test
//= RLY-56 test
#[test]
fn a_query_is_passed_on_and_its_rows_come_back() {
    let mut world = filled(Config { rows: 77, ..Config::default() });
    assert_eq!(world.send(1, query(2, (1, 3), 0)), ["query bugs after 3 limit 77"]);
    assert_eq!(rows(&mut world, &[0], b""), ["1 < rows #2 at e1:5 0 cursor []"]);
    assert_eq!(world.send(1, query(2, (0, 0), 9)), ["query bugs after 0 limit 9"]);
    let frames =
        ["1 < rows #2 at e1:5 4 more", "1 < rows #2 at e1:5 4 more", "1 < rows #2 at e1:5 1 cursor [7]"];
    assert_eq!(rows(&mut world, &[4, 4, 1], &[7]), frames);
    assert_eq!(world.send(1, query(2, (0, 0), 9)), ["query bugs after 0 limit 9"]);
    let failed = ["1 < error #2 Request STATE_NOT_REACHED"];
    assert_eq!(world.fail(ErrorCode::STATE_NOT_REACHED), failed);
    // Answers that come after the connection are for nobody.
    world.send(1, query(3, (0, 0), 9));
    world.input(Input::Closed { conn: ConnId(1) });
    assert_eq!(rows(&mut world, &[1], b""), [""; 0]);
}

#[test]
fn rows_that_do_not_fit_are_too_expensive() {
    let mut world = filled(Config::default());
    world.send(1, query(2, (0, 0), 0));
    let mut table = TableBuilder::new(1).unwrap();
    for _ in 0..2 {
        table.push_owned(&[Value::Data(vec![0; 600_000].into())]).unwrap();
    }
    let ticket = world::ticket(&world.question());
    let input = Input::Rows { ticket, at: 5, tables: vec![table], cursor: Bytes::new() };
    assert_eq!(world.input(input), ["1 < error #2 Request QUERY_TOO_EXPENSIVE"]);
}

//= RLY-54 test
//= SES-71 test
#[test]
fn queries_keep_to_rights_and_history() {
    for (bugs, people, allowed) in [(true, true, true), (true, false, false), (false, true, false)] {
        let mut world = World::new(Config::default());
        let [b, p] = ["bugs", "people"].map(|name| CollectionName::new(name).unwrap());
        let access = |read| Access { read, write: true };
        world.rights = Rights::new(Access::NONE).with(&b, access(bugs)).with(&p, access(people)).into();
        world.join(1);
        let expected =
            if allowed { "query bugs after 0 limit 1000" } else { "1 < error #2 Request FORBIDDEN" };
        assert_eq!(world.send(1, query(2, (0, 0), 0)), [expected]);
        if allowed {
            assert_eq!(world.send(1, query(3, (5, 1), 0)), ["1 < error #3 Request POSITION_UNKNOWN"]);
        }
    }
}

//= SES-66 test
//= SES-69 test
//= SES-70 test
#[test]
fn requests_are_bounded_and_answered_one_after_another() {
    let mut world = World::new(Config { requests: 3, ..Config::default() });
    world.join(1);
    assert_eq!(world.send(1, count(2)), ["count"]);
    assert_eq!(world.send(1, query(3, (0, 0), 0)), [""; 0]);
    assert_eq!(world.send(1, pull(4, (0, 0), &[], 0, 0)), [""; 0]);
    assert_eq!(world.send(1, count(5)), ["1 < error #5 Request TOO_MANY_REQUESTS"]);
    // Pushes do not count.
    assert_eq!(world.send(1, push(5, &[block(1, 1, &[("a", 1)])])), ["append n1 of ann 0-1 [1:1]"]);
    assert_eq!(world.answer(), ["1 < sync state #2 0 0", "query bugs after 0 limit 1000"]);
    assert_eq!(world.answer(), ["1 < ack #5 1-e1:1"]);
    let last = ["1 < rows #3 at e1:5 0 cursor []", "1 < pulled #4 e1:1 [1:1]"];
    // (The state cannot be ahead of the log, but the relay need not know.)
    assert_eq!(rows(&mut world, &[0], b""), last);
    let closed = ["1 < error Connection DUPLICATE_REQUEST", "1 closed Error(DUPLICATE_REQUEST)"];
    world.send(1, count(6));
    assert_eq!(world.send(1, count(6)), closed);

    let mut world = World::new(Config { request_bytes: 60, ..Config::default() });
    world.join(1);
    world.send(1, count(2));
    assert_eq!(world.send(1, query(3, (0, 0), 0)), ["1 < error #3 Request TOO_MANY_REQUESTS"]);
    assert_eq!(world.send(1, count(3)), [""; 0]);
}

//= RLY-48 test
#[test]
fn large_answers_wait_for_the_transport() {
    let mut world = World::with(&[1]);
    for n in 0..2 {
        world.send(1, push(1, &[block(1, 1 + 9_000 * n, &[("a", 1); 9_000])]));
        world.answer();
    }
    let both = "1 < pulled #2 e1:9000 more [1:9000]";
    assert_eq!(world.send(1, pull(2, (0, 0), &[], 0, 0)), [both]);
    assert_eq!(
        world.send(1, pull(3, (1, 9_000), &[], 0, 0)),
        ["1 < pulled #3 e1:18000 [9001:9000]", "1 pause"]
    );
    assert_eq!(world.send(1, pull(4, (1, 18_000), &[], 0, 0)), [""; 0]);
    assert_eq!(world.flush(1), ["1 resume", "1 < pulled #4 e1:18000 []"]);
}

//= RLY-59 test
#[test]
fn a_failed_read_fails_the_pull() {
    let mut world = filled(Config { tail_bytes: 0, ..Config::default() });
    assert_eq!(world.send(1, pull(2, (0, 0), &[], 0, 7)), ["read after 0, 7 bytes"]);
    world.send(1, pull(3, (1, 5), &[], 0, 0));
    let outputs = ["1 < error #2 Request STORE_UNAVAILABLE", "1 < pulled #3 e1:5 []"];
    assert_eq!(world.fail(ErrorCode::STORE_UNAVAILABLE), outputs);
}

//= SES-89 test
#[test]
fn new_credentials_change_rights_and_nothing_else() {
    let mut world = World::with(&[1, 2]);
    world.send(1, subscribe(5, (0, 0), 10_000, &["a"]));
    world.valid_until_ms = Some(world::UNIX_MS + 59_001);
    assert_eq!(world.send(1, authenticate(9, "ann")), ["authorize 1 db 1 ann"]);
    assert_eq!(world.answer(), ["1 < authenticated #9 60 s"]);
    world.send(2, push(1, &[block(2, 1, &[("a", 1)])]));
    assert_eq!(world.answer(), ["2 < ack #1 1-e1:1", "1 < update 5: 0 -> e1:1 [1:1]"]);
    // The new rights hold.
    world.rights = Arc::new(Rights::new(Access::READ));
    world.send(1, authenticate(9, "ann"));
    world.answer();
    world.send(1, push(1, &[block(1, 1, &[("a", 1)])]));
    assert_eq!(world.answer(), ["1 < ack #1 WRITE_FORBIDDEN 0"]);
}

//= SES-90 test
#[test]
fn credentials_that_are_not_good_close() {
    let closed = |code: &str| [format!("1 < error Connection {code}"), format!("1 closed Error({code})")];
    let mut world = World::with(&[1]);
    world.send(1, authenticate(9, "bob"));
    assert_eq!(world.answer(), closed("NOT_YOUR_NODE"));
    for code in [ErrorCode::UNAUTHENTICATED, ErrorCode::TOKEN_EXPIRED] {
        let mut world = World::with(&[1]);
        world.send(1, authenticate(9, "ann"));
        assert_eq!(world.fail(code), closed(&format!("{code:?}")));
    }
    let mut world = World::with(&[1]);
    world.send(1, authenticate(9, "ann"));
    let ticket = world::ticket(&world.question());
    let (principal, rights) = (Principal::new("ann"), world.rights.clone());
    let past = Some(world::UNIX_MS - 1);
    let input = Input::Authorized { ticket, principal, rights, valid_until_ms: past };
    assert_eq!(world.input(input), closed("TOKEN_EXPIRED"));
}

//= SES-92 test
#[test]
fn lost_rights_end_what_they_covered() {
    let goodbye = ["1 < goodbye restarting 1000+30000"];
    let changed = |world: &mut World, access| {
        let rights = Arc::new(Rights::new(access));
        world.input(Input::RightsChanged { conn: ConnId(1), rights })
    };
    let mut world = World::with(&[1]);
    world.send(1, subscribe(5, (0, 0), 10_000, &["a"]));
    assert_eq!(changed(&mut world, Access::READ), [""; 0]);
    assert_eq!(changed(&mut world, Access::WRITE), goodbye);
    let mut world = World::with(&[1]);
    world.send(1, query(2, (0, 0), 0));
    assert_eq!(changed(&mut world, Access::WRITE), goodbye);
    assert_eq!(rows(&mut world, &[1], b""), [""; 0]);
    let mut world = World::with(&[1]);
    assert_eq!(changed(&mut world, Access::NONE), [""; 0]);
}

//= RLY-52 test
#[test]
fn slow_readers_and_queries_delay_no_acks() {
    let mut world = World::new(Config { tail_bytes: 0, ..Config::default() });
    world.join(1);
    world.join(2);
    world.send(1, push(1, &[block(1, 1, &[("a", 1)])]));
    world.answer();
    world.send(2, subscribe(1, (0, 0), 1_000, &[]));
    world.send(2, query(2, (0, 0), 0));
    assert_eq!(world.send(1, push(2, &[block(1, 2, &[("a", 2)])])), ["append n1 1-2 [2:1]"]);
    let append = world.asked.pop_back().unwrap();
    world.asked.push_front(append);
    assert_eq!(world.answer(), ["1 < ack #2 2-e1:2"]);
}

//= SES-90 test
#[test]
fn credentials_without_a_right_to_the_database_leave_none() {
    let mut world = World::with(&[1]);
    world.send(1, authenticate(9, "ann"));
    assert_eq!(world.fail(ErrorCode::INTERNAL_ERROR), ["1 < error #9 Request INTERNAL_ERROR"]);
    world.send(1, subscribe(5, (0, 0), 0, &[]));
    world.send(1, authenticate(9, "ann"));
    let outputs = ["1 < error #9 Request FORBIDDEN", "1 < goodbye restarting 1000+30000"];
    assert_eq!(world.fail(ErrorCode::FORBIDDEN), outputs);
}

//= SES-94 test
#[test]
fn credentials_that_are_judged_after_goodbye_get_no_answer() {
    for code in [None, Some(ErrorCode::FORBIDDEN)] {
        let mut world = World::with(&[1]);
        world.send(1, authenticate(9, "ann"));
        assert_eq!(world.input(Input::Shutdown), ["1 < goodbye restarting 1000+30000"]);
        let outputs = match code {
            None => world.answer(),
            Some(code) => world.fail(code),
        };
        assert_eq!(outputs, [""; 0]);
    }
}
