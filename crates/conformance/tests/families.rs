//! What holds for every vector: it is cut, lengthened, damaged and fed in pieces.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so")]

use std::collections::BTreeSet;

use blazedb_relay::frame::{Phase, peek};
use blazedb_relay::registry::{ErrorCode, MessageType};
use blazedb_relay_conformance::meaning::{self, Context, Target};
use blazedb_relay_conformance::vectors::{Expected, File, Test, compare, load};
use blazedb_relay_conformance::{fuzz, spec};
use serde_json::Value as Json;

fn files() -> Vec<File> {
    let files = load(&spec::root().join("test-vectors")).unwrap();
    let count: usize = files.iter().map(|file| file.tests.len()).sum();
    assert!(count >= 400, "only {count} vectors");
    files
}

fn context(test: &Test) -> Context {
    Context::from_json(&test.context).unwrap()
}

fn is_valid(test: &Test) -> bool {
    matches!(test.expected, Expected::Valid { .. })
}

/// Valid vectors that are small enough to be taken apart at every byte.
fn samples() -> Vec<(Target, Test)> {
    let all =
        files().into_iter().flat_map(|file| file.tests.into_iter().map(move |test| (file.target, test)));
    let samples: Vec<_> = all.filter(|(_, test)| is_valid(test) && test.input.len() <= 4_096).collect();
    assert!(samples.len() > 100);
    samples
}

#[test]
fn the_codec_passes_every_vector() {
    let mut failures = Vec::new();
    for file in files() {
        for test in &file.tests {
            let answer = meaning::decode(file.target, &test.input, &context(test))
                .map(|decoded| (decoded.value, decoded.reencoded))
                .map_err(|error| (error.code.name().unwrap_or_default().into(), u64::from(error.offset)));
            if let Some(difference) = compare(test, &answer, true) {
                failures.push(format!("{}: {difference}", test.id));
            }
            if let Expected::Valid { decoded: Some(json), canonical } = &test.expected {
                match meaning::encode(file.target, json, &context(test)) {
                    Ok(bytes) if bytes == *canonical => {}
                    Ok(_) => failures.push(format!("{}: encodes to other bytes", test.id)),
                    Err(error) => failures.push(format!("{}: does not encode: {error}", test.id)),
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_reference_decoder_agrees_on_every_vector() {
    for file in files() {
        for test in &file.tests {
            fuzz::agree(file.target, &test.input, &context(test));
        }
    }
}

/// The rule that an error names is one that the vector is about.
#[test]
fn errors_name_the_rule() {
    let mut wrong = Vec::new();
    for file in files() {
        for test in file.tests.iter().filter(|test| !is_valid(test)) {
            let error = meaning::decode(file.target, &test.input, &context(test)).unwrap_err();
            if !test.spec.iter().any(|id| id == error.rule()) {
                wrong.push(format!("{}: {error:?} names {}, wanted {:?}", test.id, error.rule(), test.spec));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_message_has_a_valid_vector() {
    let mut seen = BTreeSet::new();
    for (target, test) in samples() {
        if target == Target::Message
            && let Some(kind) = test.input.get(2..4)
        {
            seen.insert(u16::from_be_bytes([kind[0], kind[1]]));
        }
    }
    for (kind, name) in MessageType::ALL {
        assert!(seen.contains(&kind.0), "no valid vector of {name}");
    }
}

/// Codes that a decoder gives are each the outcome of at least one vector.
#[test]
fn every_decode_error_has_a_vector() {
    let mut missing: BTreeSet<_> =
        ErrorCode::ALL.iter().filter(|(code, _)| code.0 < 200).map(|(_, name)| (*name).to_owned()).collect();
    for file in files() {
        for test in file.tests {
            if let Expected::Invalid { code, .. } = test.expected {
                missing.remove(&code);
            }
        }
    }
    assert!(missing.is_empty(), "no invalid vector gives {missing:?}");
}

/// An operation, or a record with a checksum, has no length of its own: cut short, its last bytes are
/// taken for the checksum. The other targets say where bytes are missing.
#[test]
fn cut_at_every_byte_fails() {
    for (target, test) in samples() {
        let checked = target == Target::Op || (target == Target::Record && test.input.get(5) == Some(&2));
        for len in 0..test.input.len() {
            let input = &test.input[..len];
            let error = meaning::decode(target, input, &context(&test)).unwrap_err();
            assert!(error.offset as usize <= len, "{} cut at {len}: {error}", test.id);
            let allowed =
                error.code == ErrorCode::TRUNCATED || (checked && error.code == ErrorCode::BAD_CHECKSUM);
            assert!(allowed, "{} cut at {len}: {error}", test.id);
        }
    }
}

#[test]
fn one_byte_more_fails() {
    for (target, test) in samples() {
        // The checksum of an operation is its last four bytes, wherever they are.
        let checked = target == Target::Op || (target == Target::Record && test.input.get(5) == Some(&2));
        let mut input = test.input.clone();
        input.push(0);
        let error = meaning::decode(target, &input, &context(&test)).unwrap_err();
        let wanted = if checked { ErrorCode::BAD_CHECKSUM } else { ErrorCode::TRAILING_BYTES };
        assert_eq!(error.code, wanted, "{}", test.id);
    }
}

/// A flipped bit under a checksum is found; a flipped length of a frame may ask for more bytes.
#[test]
fn flipped_bits_fail() {
    for (target, test) in samples() {
        // Every bit of a long one costs a decoding of all of it, and shows nothing that a short one does not.
        if !matches!(target, Target::Op | Target::Block | Target::Message) || test.input.len() > 1_024 {
            continue;
        }
        let value = meaning::decode(target, &test.input, &context(&test)).unwrap().value;
        // Nobody looks at the blocks of an unknown message (EXT-4).
        let skipped =
            if value["type"] == "unknown" { value["blocks"].as_str().unwrap().len() / 2 } else { 0 };
        let is_compressed = |value: &Json| value.to_string().contains(r#""compressed":true"#);
        for at in 0..test.input.len() - skipped {
            for bit in 0..8 {
                let mut input = test.input.clone();
                input[at] ^= 1 << bit;
                if let Ok(decoded) = meaning::decode(target, &input, &context(&test)) {
                    // LZ4 has many encodings of one text: some flips there change nothing.
                    assert!(
                        is_compressed(&value),
                        "{}: a flip of bit {bit} of byte {at} went unnoticed",
                        test.id
                    );
                    assert!(is_compressed(&decoded.value));
                }
            }
        }
    }
}

//= FRM-6 test
#[test]
fn frames_are_found_byte_by_byte() {
    for (target, test) in samples() {
        if !matches!(target, Target::Frame | Target::Message) {
            continue;
        }
        for len in 0..16 {
            assert_eq!(peek(&test.input[..len], Phase::Session), Ok(None), "{} at {len}", test.id);
        }
        for len in 16..=test.input.len() {
            assert_eq!(peek(&test.input[..len], Phase::Session), Ok(Some(test.input.len())), "{}", test.id);
        }
        let mut stream = vec![3];
        stream.extend(test.input.repeat(3));
        fuzz::chunked(&stream);
    }
}

#[test]
fn errors_print() {
    for file in files() {
        for test in file.tests {
            match meaning::decode(file.target, &test.input, &context(&test)) {
                Ok(decoded) => assert!(!decoded.value.to_string().is_empty()),
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains(error.code.name().unwrap()) && text.contains("at byte"), "{text}");
                }
            }
        }
    }
}
