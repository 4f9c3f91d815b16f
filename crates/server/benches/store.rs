//! What the store does in a second: durable appends, feeding the merged state, reading.
//!
//! `cargo bench -p blazedb-relay-server --bench store`. The files are made below `BLAZEDB_BENCH_DIR`, or
//! the system's folder for temporary files; a folder in memory would make fsync free. An argument chooses
//! the measurements whose name contains it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a benchmark may stop and talk"
)]

#[path = "../../conformance/tests/support/trace.rs"]
mod trace;

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::time::Instant;

use blazedb_relay::block::{BlockBuilder, Compression};
use blazedb_relay::message::{LastNodeSeq, Mark};
use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::relay::{AppendBlock, NodeAppend, Owner, Principal};
use blazedb_relay::value::{Fields, Value};
use blazedb_relay::wire::{CollectionName, DatabaseName, FieldName, NodeId, NodeKey, Timestamp};
use blazedb_relay_server::store::{Background, LogStore, Opened, Reader, SqliteStore, SqliteWriter, Writer};
use tempfile::TempDir;
use uuid::Uuid;

/// For how long appends are measured.
const TIME: Duration = Duration::from_secs(4);

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let quick = std::env::args().any(|argument| argument == "--test");
    let time = if quick { Duration::from_millis(50) } else { TIME };
    let chosen = |name: &str| arguments.is_empty() || arguments.iter().any(|word| name.contains(&**word));
    println!("the disk: {:.2} ms for 88 KiB and fdatasync", disk().as_secs_f64() * 1e3);
    if chosen("append") {
        for blocks in [1, 8, 32, 128] {
            appends(blocks, time);
        }
    }
    if chosen("feed") {
        feed_bugs(if quick { 1_000 } else { 200_000 });
        feed_trace(if quick { "selfhosted-1k.ndjson" } else { "selfhosted.ndjson.zst" });
    }
    if chosen("both") {
        both(time);
    }
}

fn folder() -> TempDir {
    let place = std::env::var_os("BLAZEDB_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    tempfile::tempdir_in(place).unwrap()
}

/// How long the disk itself takes for a group of 8 blocks.
fn disk() -> Duration {
    let folder = folder();
    let mut file = File::create(folder.path().join("file")).unwrap();
    let bytes = [7; 88 << 10];
    for _ in 0..40 {
        file.write_all(&bytes).unwrap();
    }
    file.sync_all().unwrap();
    let times = (0..40).map(|i| {
        file.seek(SeekFrom::Start(i * bytes.len() as u64)).unwrap();
        let start = Instant::now();
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
        start.elapsed()
    });
    let mut times: Vec<_> = times.collect();
    times.sort();
    times[times.len() / 2]
}

fn name() -> DatabaseName {
    DatabaseName::new("bench").unwrap()
}

/// A device that makes bugs.
struct Device {
    node: NodeId,
    mark: Mark,
    builder: BlockBuilder,
    counter: u64,
}

impl Device {
    fn new(number: u128) -> Self {
        let node = NodeId::new(Uuid::from_u128(0x04641b7f_985c_44d2_815b_886cb8ed0000 + number)).unwrap();
        Self { node, mark: Mark::NONE, builder: BlockBuilder::new(node, 1), counter: 0 }
    }

    /// The next 100 operations, as one block.
    fn push(&mut self) -> NodeAppend {
        let first_node_seq = self.mark.node_seq().get() + 1;
        self.builder.restart(first_node_seq);
        let mut check = 0;
        for node_seq in first_node_seq..first_node_seq + 100 {
            self.counter += 1;
            let record = Uuid::from_u128(self.node.uuid().as_u128() ^ (u128::from(node_seq) << 64));
            let field = |name, value| (FieldName::new(name).unwrap(), value);
            let fields = Fields::new(vec![
                field("title", Value::from("Fix login bug")),
                field("priority", Value::from(5)),
                field("status", Value::from("open")),
            ]);
            let op = Op::new(
                (self.node, node_seq),
                Timestamp::new(self.counter, self.node).unwrap(),
                OpKind::Insert,
                (CollectionName::new("bugs").unwrap(), record),
                fields.unwrap(),
            );
            let op = op.unwrap();
            check = u32::from_be_bytes(*op.to_bytes().last_chunk().unwrap());
            self.builder.push(&op).unwrap();
        }
        let bytes = self.builder.finish(Compression::None).unwrap().to_vec();
        let builds_on = self.mark;
        self.mark = Mark::new(LastNodeSeq::new(first_node_seq + 99).unwrap(), check).unwrap();
        NodeAppend {
            node: self.node,
            owner: Some(Owner { principal: Principal::new("somebody"), key: NodeKey([7; 16]) }),
            builds_on,
            mark: self.mark,
            blocks: vec![AppendBlock { first_node_seq, count: 100, bytes: bytes.into() }],
        }
    }
}

/// Appends groups of blocks of as many devices, each group in one durable transaction. The time in which
/// the blocks are made does not count.
fn append(writer: &mut SqliteWriter, devices: &mut [Device], time: Duration) -> (u64, Vec<Duration>) {
    let mut times = Vec::new();
    let mut ops = 0;
    while times.iter().sum::<Duration>() < time {
        let group: Vec<_> = devices.iter_mut().map(Device::push).collect();
        let start = Instant::now();
        writer.append(&group).unwrap();
        times.push(start.elapsed());
        ops += 100 * group.len() as u64;
    }
    times.sort();
    (ops, times)
}

fn appends(blocks: u128, time: Duration) {
    let folder = folder();
    let store = SqliteStore::new(folder.path()).unwrap();
    let Opened { mut writer, .. } = store.open(&name()).unwrap();
    let mut background = store.background(&name()).unwrap();
    let mut devices: Vec<_> = (1..=blocks).map(Device::new).collect();
    append(&mut writer, &mut devices, time / 10);
    let done = AtomicBool::new(false);
    let (ops, times) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                background.checkpoint().unwrap();
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let result = append(&mut writer, &mut devices, time);
        done.store(true, Ordering::Relaxed);
        result
    });
    report_appends(&format!("append, {blocks} blocks of 100 bugs in a transaction"), ops, &times);
}

fn report_appends(what: &str, ops: u64, times: &[Duration]) {
    let total: Duration = times.iter().sum();
    println!(
        "{what}: {:.0} ops/s durable; a transaction takes {:.2} ms in the median, {:.2} ms at 99 %",
        ops as f64 / total.as_secs_f64(),
        times[times.len() / 2].as_secs_f64() * 1e3,
        times[times.len() * 99 / 100].as_secs_f64() * 1e3,
    );
}

fn feed(store: &SqliteStore, what: &str, max_ops: usize) {
    let mut background = store.background(&name()).unwrap();
    let (mut ops, mut longest) = (0, Duration::ZERO);
    let (start, start_cpu) = (Instant::now(), cpu());
    loop {
        let step = Instant::now();
        let fed = background.feed(max_ops).unwrap();
        longest = longest.max(step.elapsed());
        ops += fed.ops;
        if fed.ops == 0 {
            break;
        }
    }
    let (time, time_cpu) = (start.elapsed(), cpu() - start_cpu);
    println!(
        "feed, {what}, steps of {max_ops}: {:.0} ops/s, {:.0} for each second of processor time; \
         longest step {:.1} ms",
        ops as f64 / time.as_secs_f64(),
        ops as f64 / time_cpu.as_secs_f64(),
        longest.as_secs_f64() * 1e3,
    );
}

/// Processor time of this thread, so that a busy machine can be told from a slow store; where the system
/// says it.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

/// Every operation makes a new record.
fn feed_bugs(ops: u64) {
    let folder = folder();
    let store = SqliteStore::new(folder.path()).unwrap();
    let Opened { mut writer, .. } = store.open(&name()).unwrap();
    let mut devices: Vec<_> = (1..=8).map(Device::new).collect();
    for _ in 0..ops.div_ceil(800) {
        writer.append(&devices.iter_mut().map(Device::push).collect::<Vec<_>>()).unwrap();
    }
    feed(&store, "new bugs", 2_000);
}

fn feed_trace(file: &str) {
    let ops = match trace::ops(file) {
        Ok(ops) => ops,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    let folder = folder();
    let store = SqliteStore::new(folder.path()).unwrap();
    let Opened { mut writer, .. } = store.open(&name()).unwrap();
    let node = NodeId::new(trace::DELIVERER).unwrap();
    let mut builder = BlockBuilder::new(node, 1);
    let (mut mark, mut first, mut check) = (Mark::NONE, 1, 0);
    let mut flush = |builder: &mut BlockBuilder, first: u64, check| {
        let count = u16::try_from(builder.len()).unwrap();
        let Some(bytes) = builder.finish(Compression::None) else { return };
        let builds_on = mark;
        let last = LastNodeSeq::new(first + u64::from(count) - 1).unwrap();
        mark = Mark::new(last, check).unwrap();
        let owner = Some(Owner { principal: Principal::new("somebody"), key: NodeKey([7; 16]) });
        let blocks = vec![AppendBlock { first_node_seq: first, count, bytes: bytes.to_vec().into() }];
        writer.append(&[NodeAppend { node, owner, builds_on, mark, blocks }]).unwrap();
    };
    for (op, number) in ops.zip(1..) {
        check = u32::from_be_bytes(*op.to_bytes().last_chunk().unwrap());
        builder.push(&op).unwrap();
        if builder.len() == 1_000 {
            flush(&mut builder, first, check);
            first = number + 1;
            builder.restart(first);
        }
    }
    flush(&mut builder, first, check);
    feed(&store, "the trace", 10_000);
    let mut reader = store.reader(&name()).unwrap();
    println!("the state of {:?}: {:?}", trace::COLLECTION, reader.counts().unwrap());
    let (mut after, mut bytes) = (0, 0);
    let start = Instant::now();
    loop {
        let blocks = reader.read(after, 1 << 20).unwrap();
        let Some(last) = blocks.last() else { break };
        after = last.first_seq + u64::from(u16::from_be_bytes([last.bytes[2], last.bytes[3]])) - 1;
        bytes += blocks.iter().map(|block| block.bytes.len()).sum::<usize>();
    }
    let time = start.elapsed().as_secs_f64();
    println!("read: {:.0} ops/s, {:.0} MB/s", after as f64 / time, bytes as f64 / time / 1e6);
    drop((writer, reader));
    let start = Instant::now();
    let found = SqliteStore::verify(&store.file(&name()), &mut |_| {}).unwrap();
    let time = start.elapsed().as_secs_f64();
    println!("verify: {:.0} ops/s, {:?}", found.operations as f64 / time, found.problems);
}

/// Appends while the state is fed and the log is moved.
fn both(time: Duration) {
    let folder = folder();
    let store = SqliteStore::new(folder.path()).unwrap();
    let Opened { mut writer, .. } = store.open(&name()).unwrap();
    let mut background = store.background(&name()).unwrap();
    let mut devices: Vec<_> = (1..=8).map(Device::new).collect();
    let done = AtomicBool::new(false);
    let (ops, times, fed) = std::thread::scope(|scope| {
        let feeding = scope.spawn(|| {
            let (mut fed, mut moved) = (0, Instant::now());
            while !done.load(Ordering::Relaxed) {
                fed += background.feed(2_000).unwrap().ops;
                if moved.elapsed() > Duration::from_millis(100) {
                    background.checkpoint().unwrap();
                    moved = Instant::now();
                }
            }
            fed
        });
        let (ops, times) = append(&mut writer, &mut devices, time);
        done.store(true, Ordering::Relaxed);
        (ops, times, feeding.join().unwrap())
    });
    report_appends("append while feeding, 8 blocks of 100 bugs in a transaction", ops, &times);
    println!("fed meanwhile: {fed} of {ops} operations");
}
