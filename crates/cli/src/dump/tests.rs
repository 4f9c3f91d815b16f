//! The explanation against every kind of input: legal, and broken in many ways.

use core::cell::RefCell;
use std::collections::BTreeSet;

use blazedb_relay_conformance::meaning::{Context, Target, decode, encode, parse_json};
use blazedb_relay_conformance::spec::requirements;
use serde_json::Value as Json;

use super::*;

/// Meanings of every target, with every message and every kind of value.
const SAMPLES: &str = include_str!("../../tests/samples.json");

struct Sample {
    target: Target,
    context: Context,
    bytes: Vec<u8>,
}

fn samples() -> Vec<Sample> {
    let json = parse_json(SAMPLES).unwrap();
    let mut all: Vec<_> = json.as_array().unwrap().iter().map(sample).collect();
    let blocks: Vec<_> = all
        .iter()
        .filter(|sample| sample.target == Target::Block)
        .map(|block| compressed(&block.bytes))
        .collect();
    let update = all.iter().find(|s| s.target == Target::Message && s.bytes[3] == 0x16).unwrap();
    let context = Context::default();
    let update = Sample { target: Target::Message, context, bytes: with_blocks(&update.bytes, &blocks[0]) };
    all.extend(blocks.into_iter().map(|bytes| Sample { target: Target::Block, context, bytes }));
    all.push(update);
    all
}

fn sample(json: &Json) -> Sample {
    let target = Target::from_name(json["target"].as_str().unwrap()).unwrap();
    let context = Context::from_json(json).unwrap();
    let bytes = encode(target, &json["value"], &context).unwrap_or_else(|error| panic!("{error}: {json}"));
    Sample { target, context, bytes }
}

/// The block with its payload as LZ4, all of it literals.
fn compressed(block: &[u8]) -> Vec<u8> {
    let payload = &block[36..];
    let mut packed = u32::try_from(payload.len()).unwrap().to_be_bytes().to_vec();
    let mut more = payload.len() - 15;
    packed.push(0xF0);
    while more >= 255 {
        packed.push(255);
        more -= 255;
    }
    packed.push(u8::try_from(more).unwrap());
    packed.extend_from_slice(payload);
    let mut out = block[..36].to_vec();
    out[1] |= 1;
    out[28..32].copy_from_slice(&u32::try_from(packed.len()).unwrap().to_be_bytes());
    out.extend(packed);
    repair_block(&mut out);
    out
}

/// The frame with other blocks.
fn with_blocks(frame: &[u8], blocks: &[u8]) -> Vec<u8> {
    let fields = usize::try_from(walk::number(&frame[8..12])).unwrap();
    let mut out = frame[..20 + fields].to_vec();
    out[12..16].copy_from_slice(&u32::try_from(blocks.len()).unwrap().to_be_bytes());
    out.extend_from_slice(blocks);
    repair_frame(&mut out);
    out
}

/// Puts the CRC-32 of the bytes before `at` there, as far as there are any.
fn put_check(bytes: &mut [u8], at: usize) {
    if let Some((covered, rest)) = bytes.split_at_mut_checked(at)
        && let Some(place) = rest.first_chunk_mut()
    {
        *place = crc32fast::hash(covered).to_be_bytes();
    }
}

fn repair_end(bytes: &mut [u8]) {
    put_check(bytes, bytes.len().saturating_sub(4));
}

fn repair_block(block: &mut [u8]) {
    put_check(block, 32);
    if block.get(1).is_some_and(|flags| flags & 1 == 1) {
        return;
    }
    let mut rows = block.get_mut(36..).unwrap_or_default();
    while let Some((len, rest)) = rows.split_first_chunk_mut::<4>() {
        let len = usize::try_from(u32::from_be_bytes(*len)).unwrap().min(rest.len());
        let (row, rest) = rest.split_at_mut(len);
        repair_end(row);
        rows = rest;
    }
}

fn repair_frame(frame: &mut [u8]) {
    let fields = frame.get(8..12).map_or(0, walk::number);
    let at = usize::try_from(fields).unwrap() + 16;
    let mut blocks = frame.get_mut(at + 4..).unwrap_or_default();
    while blocks.len() >= 36 {
        let len = usize::try_from(walk::number(&blocks[28..32])).unwrap().saturating_add(36);
        let (block, rest) = blocks.split_at_mut(len.min(blocks.len()));
        repair_block(block);
        blocks = rest;
    }
    put_check(frame, at);
}

fn repair(target: Target, bytes: &mut [u8]) {
    match target {
        Target::Value => {}
        Target::Record | Target::Op => repair_end(bytes),
        Target::Block => repair_block(bytes),
        Target::Frame | Target::Message => repair_frame(bytes),
    }
}

/// The explanation: what it shows, and the table.
struct Shown {
    lines: Vec<(usize, bool, Vec<u8>, Kind, String)>,
    table: String,
}

fn shown(target: Target, bytes: &[u8], fault: Option<Fault>, width: usize) -> Shown {
    let (mut out, lines) = (Vec::new(), RefCell::new(Vec::new()));
    let mut table = Table::new(&mut out, width, bytes.len(), false);
    let explained = explain(target, bytes, 0, fault, &mut |line| {
        let (offset, inflated, kind) = (line.offset, line.inflated, line.kind);
        lines.borrow_mut().push((offset, inflated, line.bytes.to_vec(), kind, line.meaning.text.clone()));
        table.line(line)
    });
    explained.unwrap();
    let table = anstream::adapter::strip_str(core::str::from_utf8(&out).unwrap()).to_string();
    Shown { lines: lines.into_inner(), table }
}

/// Checks the explanation of any bytes; says whether they are legal.
fn check(sample: &Sample, bytes: &[u8]) -> bool {
    let Sample { target, context, .. } = sample;
    let error = decode(*target, bytes, context).err();
    let fault = error.map(|e| Fault { at: offset(e), code: e.code.name().unwrap() });
    let Shown { lines, table } = shown(*target, bytes, fault, 100);
    let what = || format!("{} {fault:?}\n{table}", target.name());

    // The bytes are shown in order and without gaps, up to the fault or the end.
    let mut at = 0;
    for (offset, inflated, line, kind, text) in &lines {
        if !inflated && *kind != Kind::Heading {
            assert_eq!(*offset, at, "{}", what());
            at += line.len();
        }
        assert!(fault.is_some() || (text != "left over" && text != "makes no sense"), "{}", what());
    }
    let begins: Vec<_> = lines
        .iter()
        .filter_map(|(offset, inflated, _, kind, _)| match kind {
            Kind::Faulty { begins: Some((at, code)) } => Some((offset + at, *inflated, *code)),
            Kind::Field | Kind::Heading | Kind::Faulty { begins: None } => None,
        })
        .collect();
    match fault {
        None => {
            assert_eq!(at, bytes.len(), "{}", what());
            assert!(lines.iter().all(|line| matches!(line.3, Kind::Field | Kind::Heading)), "{}", what());
        }
        // Once, and in a decompressed payload where it really is.
        Some(Fault { at, code }) => match *begins {
            [(shown, false, shown_code)] => assert_eq!((shown, shown_code), (at, code), "{}", what()),
            [(_, true, _)] => {}
            _ => panic!("{}", what()),
        },
    }
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{}", what());
    fault.is_none()
}

fn offset(error: blazedb_relay::error::DecodeError) -> usize {
    usize::try_from(error.offset).unwrap()
}

#[test]
fn legal_bytes_are_shown_to_the_last() {
    for sample in samples() {
        assert!(check(&sample, &sample.bytes), "{}", sample.target.name());
    }
}

#[test]
fn cut_bytes_are_shown_up_to_the_cut() {
    for sample in samples() {
        for len in (0..sample.bytes.len()).step_by(1 + sample.bytes.len() / 200) {
            let mut bytes = sample.bytes[..len].to_vec();
            assert!(!check(&sample, &bytes));
            repair(sample.target, &mut bytes);
            check(&sample, &bytes);
        }
    }
}

#[test]
fn whatever_is_broken_the_fault_is_shown() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let samples = samples();
    let (mut legal, mut broken) = (0, 0);
    let rules: BTreeSet<_> =
        requirements(include_str!("../../../../SPEC.md")).into_iter().map(|r| r.id).collect();
    for round in 0..4_000 {
        let sample = &samples[random.below(samples.len())];
        let mut bytes = sample.bytes.clone();
        for _ in 0..=random.below(3) {
            random.change(&mut bytes);
        }
        if round % 4 != 0 {
            repair(sample.target, &mut bytes);
        }
        *(if check(sample, &bytes) { &mut legal } else { &mut broken }) += 1;
        if let Err(error) = decode(sample.target, &bytes, &sample.context) {
            assert!(rules.contains(error.rule()), "{error}: {:?}", error.rule());
        }
    }
    assert!(legal > 100 && broken > 1_000, "{legal} legal, {broken} broken");
}

#[test]
fn noise_is_shown_as_anything() {
    let mut random = Random(7);
    for _ in 0..2_000 {
        let len = random.below(120);
        let mut bytes: Vec<_> = (0..len).map(|_| random.byte()).collect();
        for target in Target::ALL {
            check(&Sample { target, context: Context::default(), bytes: Vec::new() }, &bytes);
        }
        // Containers in containers, and what else small bytes are.
        bytes.iter_mut().for_each(|byte| *byte %= 0x30);
        check(&Sample { target: Target::Value, context: Context::default(), bytes: Vec::new() }, &bytes);
    }
}

#[test]
fn nesting_behind_a_fault_does_not_use_up_the_stack() {
    let fields = [&[0x00, 0x01, 0xFF, 0x00, 0x01, b'x'][..], &[0x08, 0x00, 0x01].repeat(100_000)].concat();
    let bytes = [b"BLAZE\x02".as_slice(), &fields, &[0; 4]].concat();
    let fault = Fault { at: bytes.len() - 4, code: "BAD_CHECKSUM" };
    let Shown { lines, .. } = shown(Target::Record, &bytes, Some(fault), 100);
    assert!(lines.iter().any(|line| line.4 == "makes no sense"));
    assert!(matches!(lines.last().unwrap().3, Kind::Faulty { begins: Some((0, "BAD_CHECKSUM")) }));
}

#[test]
fn a_fault_in_a_compressed_payload_is_shown_where_it_is() {
    let samples = samples();
    let block = samples.iter().find(|sample| sample.target == Target::Block).unwrap();
    let mut bytes = block.bytes.clone();
    // The type of the first operation.
    bytes[36 + 4 + 58] = 9;
    repair_block(&mut bytes);
    let bytes = compressed(&bytes);
    let error = decode(Target::Block, &bytes, &block.context).unwrap_err();
    assert_eq!(error.offset, 36);
    let fault = Fault { at: offset(error), code: error.code.name().unwrap() };
    let Shown { lines, .. } = shown(Target::Block, &bytes, Some(fault), 100);
    let last = lines.last().unwrap();
    assert_eq!((last.0, last.1, last.3), (62, true, Kind::Faulty { begins: Some((0, "UNKNOWN_OP_TYPE")) }));
}

#[test]
fn a_wrong_ids_check_does_not_hide_the_blocks() {
    let samples = samples();
    let push = samples.iter().find(|s| s.target == Target::Message && s.bytes[3] == 0x0E).unwrap();
    let mut bytes = push.bytes.clone();
    bytes[18] ^= 1;
    repair_frame(&mut bytes);
    let fault = Fault { at: 18, code: "BAD_IDS_CHECK" };
    let Shown { lines, table } = shown(Target::Message, &bytes, Some(fault), 100);
    assert_eq!(
        lines.iter().filter(|line| line.3 != Kind::Heading).map(|l| l.2.len()).sum::<usize>(),
        bytes.len()
    );
    assert!(table.contains("^ BAD_IDS_CHECK"), "{table}");
}

#[test]
fn a_table_for_people() {
    let bytes = [0x09, 0x00, 0x01, 0x00, 0x02, b'o', b's', 0x24, b'B', b'e', b'O', b'S'];
    let Shown { table, .. } = shown(Target::Value, &bytes, None, 72);
    assert_eq!(
        table,
        "     0  09 00 01                    dictionary        1 entry
     3  00 02 6f 73                   os              \"os\"
     7  24 42 65 4f 53                  string        \"BeOS\"
"
    );
}

#[test]
fn narrow_tables_wrap() {
    for sample in samples() {
        let Shown { table, .. } = shown(sample.target, &sample.bytes, None, 72);
        assert!(table.lines().all(|line| line.chars().count() <= 72), "{table}");
    }
}

/// Small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[3]
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        match self.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), self.byte()),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(1),
            4 if at < bytes.len() => bytes[at] = 0,
            _ if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            _ => {}
        }
    }
}
