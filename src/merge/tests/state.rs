//! What a state offers besides its content.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use uuid::Uuid;

use super::{
    A, B, RECORD, collection, counter, delete, dictionary, entries, patch, path, permute, set, state, t,
    write,
};
use crate::merge::{Change, Entry, Heard, IncrementError, Observe, Path, State};
use crate::op::{Op, OpRef};
use crate::registry::ErrorCode;
use crate::value::Value::{self, Null, Removed};
use crate::wire::Timestamp;

/// Does what a store does: keeps what was set, forgets what was dropped.
#[derive(Default)]
struct Store(Vec<(Vec<u8>, String, State)>);

impl Store {
    fn remove(&mut self, entry: &Entry<'_>) -> usize {
        let (path, which) = (entry.path().to_bytes(), key(entry));
        let before = self.0.len();
        self.0.retain(|(p, w, _)| *p != path || *w != which);
        before - self.0.len()
    }
}

/// What tells entries at one path apart.
fn key(entry: &Entry<'_>) -> String {
    match entry {
        Entry::Register { .. } => String::new(),
        Entry::Counter { base, timestamp, .. } => format!("{} {base:?}", timestamp.node()),
    }
}

impl Observe for Store {
    fn set(&mut self, entry: Entry<'_>) {
        self.remove(&entry);
        let mut one = State::new();
        one.put(&entry, &mut ()).unwrap();
        self.0.push((entry.path().to_bytes(), key(&entry), one));
    }

    fn dropped(&mut self, entry: Entry<'_>) {
        assert_eq!(self.remove(&entry), 1, "{entry:?} was never set");
    }
}

fn all(state: &State) -> Vec<Entry<'_>> {
    state.entries().collect()
}

/// Operations with all kinds of ties, nothing of which is wider than this test.
fn ops() -> [Op; 5] {
    [
        set(t(5, A), dictionary([("a", 1.into())])),
        set(t(6, B), patch([("a", Removed), ("b", patch([("c", counter(t(5, A), 2))]))])),
        write(t(7, A), [("f", counter(t(5, A), 3)), ("g", Null)].into()),
        delete(t(5, B)),
        set(t(7, B), "x"),
    ]
}

//= MRG-1 test
#[test]
fn the_empty_state_has_no_entries() {
    let state = State::new();
    assert!(all(&state).is_empty());
    assert_eq!((state.greatest_counter(), state.collections().count()), (0, 0));
    assert_eq!((state.record("c", RECORD), state.content(path(&[]).as_ref())), (None, None));
    assert_eq!(state.top(path(&[]).as_ref()), Timestamp::NEVER);
}

//= MRG-5 test
#[test]
fn decoded_and_built_operations_merge_alike() {
    for op in &ops() {
        let bytes = op.to_bytes();
        let mut decoded = State::new();
        let change = decoded.apply(&OpRef::decode(&bytes).unwrap(), Heard::at(1), &mut ());
        assert_eq!(change, Change::Entry);
        assert_eq!(all(&decoded), all(&state([op])));
    }
}

#[test]
fn a_store_that_does_what_it_is_told_has_the_same_entries() {
    permute(&ops(), &mut |ops| {
        let mut store = Store::default();
        let mut state = State::new();
        for (op, seq) in ops.iter().zip(1..) {
            state.apply_owned(op, Heard::at(seq), &mut store);
        }
        state.doubt_above(3, &mut store);
        state.prune(&mut store);
        let mut restored = State::new();
        for (_, _, one) in &store.0 {
            restored.merge(one, &mut ());
        }
        assert_eq!(all(&restored), all(&state));
        assert!(all(&state).is_sorted_by_key(|entry| (entry.path().to_bytes(), key(entry))));
    });
}

//= MRG-6 test
#[test]
fn what_is_known_changes_nothing() {
    let mut state = state(&ops());
    let before = format!("{state:?}");
    for op in &ops() {
        assert_eq!(state.apply_owned(op, Heard::at(9), &mut ()), Change::Nothing);
    }
    let copy = state.clone();
    assert_eq!(state.merge(&copy, &mut ()), Change::Nothing);
    assert_eq!(format!("{state:?}"), before);
}

#[test]
fn the_greatest_counter_counts_what_lost() {
    let mut state = state(&[delete(t(10, A)), set(t(9, A), 1)]);
    assert_eq!(state.greatest_counter(), 10);
    let lost = set(t(10, A), 1);
    assert_eq!(state.apply_owned(&lost, Heard::at(1), &mut ()), Change::Nothing);
    state.apply_owned(&set(t(12, A), counter(Timestamp::NEVER, 1)), Heard::at(1), &mut ());
    assert_eq!(state.greatest_counter(), 12);
    let mut other = State::new();
    other.merge(&state, &mut ());
    assert_eq!(other.greatest_counter(), 12);
    other.raise_counter(11);
    assert_eq!(other.greatest_counter(), 12);
    other.raise_counter(13);
    assert_eq!(other.greatest_counter(), 13);
}

fn heard(state: &State) -> Vec<Heard> {
    state.entries().map(|entry| entry.heard()).collect()
}

//= SES-58 test
#[test]
fn the_smaller_of_two_seqs_stays() {
    let mut state = State::new();
    let (register, count) = (set(t(5, A), 1), set(t(6, A), counter(t(5, A), 1)));
    for (seq, change) in [(4, Change::Entry), (7, Change::Nothing), (2, Change::Heard), (2, Change::Nothing)]
    {
        assert_eq!(state.apply_owned(&register, Heard::at(seq), &mut ()), change);
        assert_eq!(state.apply_owned(&count, Heard::at(seq), &mut ()), change);
    }
    assert_eq!(heard(&state), [Heard::at(2); 2]);
    state.apply_owned(&set(t(6, A), 1), Heard::at(9), &mut ());
    assert_eq!(heard(&state), [Heard::at(9)], "a greater write has its own, and hides the counter");
}

//= SES-31 test
//= SES-56 test
#[test]
fn doubt_ends_when_the_same_is_heard_again() {
    let fields = |value: Value| write(t(5, A), [("f", 1.into()), ("g", value)].into());
    let mut state = State::new();
    state.apply_owned(&fields(2.into()), Heard::at(4), &mut ());
    state.apply_owned(&set(t(6, A), counter(t(5, A), 1)), Heard::at(5), &mut ());
    state.doubt_above(5, &mut ());
    assert_eq!(state.in_doubt().count(), 0);
    state.doubt_above(4, &mut ());
    assert_eq!(heard(&state), [Heard::at(4), Heard::IN_DOUBT, Heard::at(4)]);
    state.doubt_above(3, &mut ());
    assert_eq!(heard(&state), [Heard::IN_DOUBT; 3]);
    // Another value with the same timestamp is not the same write.
    state.apply_owned(&fields(1.into()), Heard::at(2), &mut ());
    assert_eq!(heard(&state), [Heard::at(2), Heard::IN_DOUBT, Heard::IN_DOUBT]);
    assert_eq!(state.in_doubt().count(), 2);
    state.apply_owned(&set(t(6, A), counter(t(5, A), 1)), Heard::at(3), &mut ());
    state.apply_owned(&fields(2.into()), Heard::at(3), &mut ());
    assert_eq!(heard(&state), [Heard::at(2), Heard::at(3), Heard::at(3)]);
    state.doubt_above(0, &mut ());
    let doubtful = state.clone();
    state.merge(&doubtful, &mut ());
    assert_eq!(state.in_doubt().count(), 3, "doubt is not ended by what is in doubt itself");
}

//= SES-57 test
#[test]
fn what_is_hidden_is_not_in_doubt() {
    let mut state = state(&[set(t(5, A), 1), set(t(6, A), patch([("k", 1.into())]))]);
    state.doubt_above(0, &mut ());
    assert_eq!(state.in_doubt().count(), 2);
    state.apply_owned(&delete(t(7, A)), Heard::at(3), &mut ());
    assert_eq!(state.in_doubt().count(), 0);
    assert_eq!(heard(&state), [Heard::at(3)]);
}

//= MRG-14 test
//= MRG-15 test
#[test]
fn increments_go_on_from_the_nodes_total() {
    let f = path(&[]);
    let mut state = state(&[set(t(5, A), 10), set(t(6, B), counter(t(5, A), 7))]);
    assert_eq!(state.increment(f.as_ref(), A.id(), 3), Ok(counter(t(5, A), 3)));
    state.apply_owned(&set(t(7, A), counter(t(5, A), i64::MAX - 1)), Heard::at(3), &mut ());
    assert_eq!(state.increment(f.as_ref(), A.id(), 1), Ok(counter(t(5, A), i64::MAX)));
    assert_eq!(state.increment(f.as_ref(), A.id(), 2), Err(IncrementError));
    assert_eq!(state.total(f.as_ref(), B.id(), t(5, A)), 7);
    // A reset starts again, a delete above it too.
    state.apply_owned(&delete(t(9, B)), Heard::at(4), &mut ());
    assert_eq!(state.increment(f.as_ref(), A.id(), i64::MIN), Ok(counter(t(9, B), i64::MIN)));
    // Below the field, top is that of the record.
    assert_eq!(state.increment(path(&["k"]).as_ref(), A.id(), 1), Ok(counter(t(9, B), 1)));
}

//= MRG-17 test
//= MRG-18 test
//= MRG-19 test
#[test]
fn the_hidden_goes_and_what_may_count_stays() {
    let mut state = state(&[
        set(t(8, A), counter(t(5, A), 1)),
        set(t(8, B), counter(t(7, A), 2)),
        set(t(4, A), patch([("k", counter(Timestamp::NEVER, 5)), ("l", 1.into())])),
        set(t(7, A), Removed),
    ]);
    let kept = all(&state);
    let [Entry::Register { value, .. }, Entry::Counter { total, .. }] = *kept else { panic!("{kept:?}") };
    assert_eq!((value, total), (&*Removed.to_bytes().unwrap(), 2));
    let kept = format!("{state:?}");
    state.prune(&mut ());
    assert_eq!(format!("{state:?}"), kept);
}

/// A set with so many keys that its rows are cut into runs many times, in a few orders.
#[test]
fn large_sets_are_cut_into_runs() {
    let key = |i: u64| format!("{:05}", i * 7919 % 3_000);
    let add = |i: u64| set(t(10 + i, A), patch([(&*key(i), Null)]));
    let mut whole = State::new();
    for i in (0..3_000).rev() {
        whole.apply_owned(&add(i), Heard::at(i), &mut ());
    }
    let wanted: Vec<String> = (0..3_000).map(|i| format!("{i:05}")).collect();
    let keys = |state: &State| match state.content(path(&[]).as_ref()) {
        Some(Value::Dictionary(entries)) => {
            entries.iter().map(|(key, _)| String::from(key)).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(keys(&whole), wanted);
    assert_eq!(all(&whole).len(), 3_000);

    // The record's delete hides the older half; more rows stay than one write looks at.
    whole.apply_owned(&delete(t(1_509, B)), Heard::at(9), &mut ());
    let (left, looked_at) = (keys(&whole), all(&whole).len());
    assert_eq!(left.len(), 1_500);
    assert!(looked_at > 1_501);
    whole.prune(&mut ());
    assert_eq!((keys(&whole), all(&whole).len()), (left, 1_501));

    let mut dropped = Store::default();
    let copy = whole.clone();
    State::new().merge(&copy, &mut dropped);
    whole.apply_owned(&delete(t(9_999, A)), Heard::at(9), &mut dropped);
    assert_eq!(all(&whole).len(), 1);
    assert_eq!(dropped.0.len(), 1);
}

//= MRG-13 test
#[test]
fn the_deepest_path_is_read() {
    let mut value = patch([("k", 1.into())]);
    let mut wanted = dictionary([("k", 1.into())]);
    for _ in 1..64 {
        value = patch([("k", value)]);
        wanted = dictionary([("k", wanted)]);
    }
    let state = state(&[set(t(5, A), value)]);
    assert_eq!(state.content(path(&[]).as_ref()), Some(wanted));
    assert_eq!(state.content(path(&["k"; 64]).as_ref()), Some(1.into()));
    assert_eq!(all(&state)[0].path(), path(&["k"; 64]).as_ref());
    let deeper = path(&["k"; 64]).key("k").unwrap_err();
    assert_eq!(deeper.code, ErrorCode::TOO_DEEP);
}

#[test]
fn contents_are_found_by_path() {
    let state = state(&[
        write(t(5, A), [("f", dictionary([("a", 1.into())])), ("g", 2.into())].into()),
        set(t(6, A), patch([("", 3.into())])),
    ]);
    let f = dictionary([("", 3.into()), ("a", 1.into())]);
    assert_eq!(state.content(path(&[]).as_ref()), Some(f.clone()));
    assert_eq!(state.content(path(&["a"]).as_ref()), Some(1.into()));
    assert_eq!(state.content(path(&[""]).as_ref()), Some(3.into()));
    assert_eq!(state.content(path(&["b"]).as_ref()), None);
    let record = entries([("f", f), ("g", 2.into())].into());
    let whole = Path::record(collection(), RECORD);
    assert_eq!(state.content(whole.as_ref()), Some(Value::Dictionary(record.clone())));
    assert_eq!(state.records("c").collect::<Vec<_>>(), [(RECORD, record)]);
    assert_eq!(state.records("d").count(), 0);
    assert_eq!(state.entries_of("c", RECORD).count(), 3);
    assert_eq!(state.entries_of("c", Uuid::nil()).count(), 0);
}

#[test]
fn a_record_is_copied_with_its_registers() {
    let mut view = state(&[set(t(9, A), 1)]);
    let durable = state(&[set(t(5, A), 2)]);
    view.copy_record(&durable, "c", RECORD);
    assert_eq!(all(&view), all(&durable));
    view.copy_record(&State::new(), "c", RECORD);
    assert!(all(&view).is_empty());
    assert_eq!(view.collections().count(), 0);
}

/// Only what an operation could have written is taken from a store.
#[test]
fn entries_that_no_state_has_are_refused() {
    let (f, record) = (path(&[]), Path::record(collection(), RECORD));
    let mut state = State::new();
    let mut register = |path: &Path, value: &[u8], timestamp| {
        let entry = Entry::Register { path: path.as_ref(), timestamp, value, heard: Heard::at(1) };
        state.put(&entry, &mut ()).map_err(|error| error.code)
    };
    assert_eq!(register(&f, &[0x0C], t(5, A)), Ok(Change::Entry));
    assert_eq!(register(&record, &[0x0C], t(4, A)), Ok(Change::Entry));
    assert_eq!(register(&record, &[0x0B], t(5, A)), Err(ErrorCode::MISPLACED_VALUE));
    assert_eq!(register(&f, &[0x0B], Timestamp::NEVER), Err(ErrorCode::BAD_TIMESTAMP));
    assert_eq!(register(&f, &[0x12], t(5, A)), Err(ErrorCode::TRUNCATED));
    assert_eq!(register(&f, &[0x0B, 0x0B], t(5, A)), Err(ErrorCode::TRAILING_BYTES));
    let misplaced = Err(ErrorCode::MISPLACED_VALUE);
    assert_eq!(register(&f, &patch([("k", Null)]).to_bytes().unwrap(), t(5, A)), misplaced);
    assert_eq!(register(&f, &counter(Timestamp::NEVER, 1).to_bytes().unwrap(), t(5, A)), misplaced);
    let mut count = |path: &Path, base, timestamp| {
        let entry = Entry::Counter { path: path.as_ref(), base, timestamp, total: 1, heard: Heard::at(1) };
        state.put(&entry, &mut ()).map_err(|error| error.code)
    };
    assert_eq!(count(&f, t(5, A), t(6, A)), Ok(Change::Entry));
    assert_eq!(count(&f, t(6, A), t(6, A)), Err(ErrorCode::BAD_BASE));
    assert_eq!(count(&record, t(5, A), t(6, A)), misplaced);
}

#[test]
fn paths_have_one_form_that_sorts_as_they_do() {
    let keys = ["", "\0", "\0\0", "\0\u{1}", "\u{1}", "\u{1}\0", "\u{2}", "a", "a\0", "a\u{1}", "aa", "é"];
    let mut paths = Vec::from([(Vec::new(), Path::record(collection(), RECORD)), (Vec::new(), path(&[]))]);
    for key in keys {
        paths.push((Vec::from([key]), path(&[key])));
        paths.extend(keys.map(|below| (Vec::from([key, below]), path(&[key, below]))));
    }
    assert!(paths.is_sorted_by(|(_, a), (_, b)| a.as_ref().to_bytes() < b.as_ref().to_bytes()));
    assert!(paths.is_sorted_by(|(_, a), (_, b)| a < b));
    for (keys, path) in &paths {
        assert_eq!(Path::from_bytes(&path.as_ref().to_bytes()).as_ref(), Ok(path));
        let components: Vec<String> = path.as_ref().components().map(|text| text.to_string()).collect();
        assert_eq!(components.get(1..).unwrap_or_default(), keys);
    }
}

#[test]
fn bytes_that_are_no_path_are_refused() {
    let below = |below: &[u8]| Path::from_parts("c", RECORD, below).map_err(|error| error.code);
    assert!(below(b"f").is_ok());
    assert_eq!(below(b"\0f"), Err(ErrorCode::EMPTY));
    assert_eq!(below(b"f\x01"), Err(ErrorCode::NON_CANONICAL));
    assert_eq!(below(b"f\x01\x03"), Err(ErrorCode::NON_CANONICAL));
    assert_eq!(below(b"f\0\xFF"), Err(ErrorCode::BAD_UTF8));
    assert_eq!(below(&[b'f'; 256]), Err(ErrorCode::TOO_LONG));
    assert_eq!(below(&[b"f\0".as_slice(), &[b'k'; 65_536]].concat()), Err(ErrorCode::TOO_LONG));
    assert_eq!(below(&b"f\0".repeat(65)), Err(ErrorCode::TOO_DEEP));
    assert_eq!(Path::from_bytes(b"c\0short").map_err(|error| error.code), Err(ErrorCode::TRUNCATED));
    assert_eq!(Path::from_bytes(b"c").map_err(|error| error.code), Err(ErrorCode::TRUNCATED));
}
