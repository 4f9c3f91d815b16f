//! The tables of SPEC.md, the code and the Kaitai description name the same numbers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so")]

use std::collections::BTreeMap;
use std::fs;

use blazedb_relay::codec::{RequestId, rules};
use blazedb_relay::limits;
use blazedb_relay::registry::{
    COMMON_NAMES, Capability, Disposition, Encoding, ErrorCode, GoodbyeReason, LimitId, MessageType, Tag,
};
use blazedb_relay_conformance::spec;

/// A table of SPEC.md that must be there.
fn table(name: &str) -> Vec<Vec<String>> {
    let rows = spec::table(&spec::text().unwrap(), name);
    assert!(!rows.is_empty(), "SPEC.md has no table {name}");
    rows
}

fn number(text: &str) -> u64 {
    let text = text.replace(',', "");
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
        None => text.parse().unwrap(),
    }
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

/// Number and name from two columns of a table.
fn pairs(name: &str, parse: fn(&str) -> u64) -> Vec<(u64, String)> {
    table(name).iter().map(|row| (parse(&row[0]), row[1].clone())).collect()
}

fn code<T: Copy>(all: &[(T, &str)], value: fn(T) -> u64) -> Vec<(u64, String)> {
    all.iter().map(|(code, name)| (value(*code), (*name).to_owned())).collect()
}

fn assert_ascending(codes: &[(u64, String)]) {
    assert!(codes.is_sorted_by(|a, b| a.0 < b.0), "not ascending or not unique: {codes:?}");
}

#[test]
fn error_codes_agree() {
    let all = code(ErrorCode::ALL, |code| code.0.into());
    assert_eq!(pairs("error-codes", number), all);
    assert_ascending(&all);
    for row in table("error-codes") {
        let code = ErrorCode::from_name(&row[1]).unwrap();
        let disposition = match code.disposition() {
            Disposition::Close => "close",
            Disposition::Reply => "reply",
            Disposition::Refuse => "refuse",
            other => panic!("{other:?} has no name in SPEC.md"),
        };
        assert_eq!(row[2], disposition, "{code:?}");
    }
}

//= TRN-4 test
#[test]
fn close_codes_are_private_ones() {
    for (code, _) in ErrorCode::ALL {
        assert_eq!(code.close_code(), 4_000 + code.0);
        assert!((4_000..5_000).contains(&code.close_code()));
    }
    //= ERR-3 test
    assert_eq!(ErrorCode(999).disposition(), ErrorCode::INTERNAL_ERROR.disposition());
}

#[test]
fn message_types_agree() {
    let all = code(MessageType::ALL, |code| code.0.into());
    assert_eq!(pairs("message-types", hex), all);
    assert_ascending(&all);
    for row in table("message-types") {
        let rules = rules(MessageType(u16::try_from(hex(&row[0])).unwrap())).unwrap();
        let id = match rules.request_id {
            RequestId::Needed => row[3] == "request" || row[3] == "reply",
            RequestId::None => row[3] == "neither",
            RequestId::Any => row[3] == "any",
        };
        assert!(id, "request id of {}", row[1]);
        assert_eq!(rules.blocks, row[4] == "yes", "blocks of {}", row[1]);
    }
}

#[test]
fn capabilities_agree() {
    let rows = table("capabilities");
    assert_eq!(rows.len(), Capability::ALL.len());
    for (row, (capability, name)) in rows.iter().zip(Capability::ALL) {
        assert_eq!(row[2], *name);
        assert_eq!(hex(&row[0]), u64::from(capability.0));
        let must = Capability(u16::try_from(hex(&row[1])).unwrap());
        assert_eq!(must.0 + 1, capability.0);
        assert!(must.is_required() && !capability.is_required());
        assert_eq!(must.optional(), *capability);
    }
}

#[test]
fn limit_ids_agree() {
    assert_eq!(pairs("limit-ids", hex), code(LimitId::ALL, |id| id.0.into()));
    for row in table("limit-ids") {
        let id = LimitId::from_name(&row[1]).unwrap();
        assert_eq!(id.default_value(), Some(number(&row[3])), "{id:?}");
    }
}

#[test]
fn small_registries_agree() {
    assert_eq!(pairs("block-encodings", hex), code(Encoding::ALL, |code| code.0.into()));
    assert_eq!(pairs("goodbye-reasons", number), code(GoodbyeReason::ALL, |code| code.0.into()));
}

#[test]
fn value_tags_agree() {
    let rows = table("value-tags");
    let (inline, tags): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row[0].contains('-'));
    assert_eq!(inline.len(), 1);
    assert_eq!(inline[0][0], "21-2F");
    let tags: Vec<_> = tags.iter().map(|row| (hex(&row[0]), row[1].clone())).collect();
    assert_eq!(tags, code(Tag::ALL, |tag| tag.0.into()));
}

#[test]
fn common_names_agree() {
    let mut names = BTreeMap::new();
    for row in table("common-names") {
        for pair in row.chunks(2).filter(|pair| !pair[0].is_empty()) {
            assert_eq!(names.insert(hex(&pair[0]), pair[1].clone()), None);
        }
    }
    let expected: BTreeMap<_, _> = (1..).zip(COMMON_NAMES.map(str::to_owned)).collect();
    assert_eq!(names, expected);
}

//= EXT-5 test
#[test]
fn grease_is_never_assigned() {
    let open = [
        code(MessageType::ALL, |code| code.0.into()),
        code(Capability::ALL, |code| code.0.into()),
        code(LimitId::ALL, |code| code.0.into()),
    ];
    for (code, name) in open.iter().flatten() {
        assert!(!matches!(code & 0xFF, 0x5A | 0x5B), "{name}");
        assert!(*code < 0x8000, "{name} is in the range for private use");
    }
}

/// Changing this changes the wire contract (LIM-1).
#[test]
#[allow(trivial_numeric_casts, reason = "some limits are u64 already")]
fn limits_agree() {
    macro_rules! limits {
        ($($name:ident)*) => { vec![$((stringify!($name).to_owned(), limits::$name as u64)),*] };
    }
    let mut code: Vec<(String, u64)> = limits![
        MAX_OP MAX_BLOCK MAX_DECOMPRESSED MAX_BLOCK_OPS MAX_FRAME MAX_FRAME_BEFORE MAX_RECORD MAX_BYTES MAX_DEPTH
        MAX_PATCH_KEYS MAX_FIELD_NAME MAX_COLLECTION_NAME MAX_DATABASE_NAME MAX_PROTOCOL_TEXT MAX_SEEN MAX_EPOCHS
        MAX_PUBLIC_KEY MAX_AUTHENTICATION MAX_CAPABILITIES MAX_LIMITS MAX_COLLECTIONS MAX_BLOCKS
        MAX_EXTENSIONS MAX_EXTENSION MAX_JOINS MAX_GROUP_BY MAX_AGGREGATES MAX_PROJECTION MAX_SORT
        MAX_PATH MAX_PATH_COMPONENT MAX_FILTER_OPS MAX_FILTER_DEPTH MAX_IN_VALUES MAX_ROWS MAX_COLUMNS
        MAX_CURSOR MAX_ERROR_TEXT MAX_NODE_SEQ MAX_COUNTER MAX_SEQ
    ];
    let spec: Vec<_> = table("limits").iter().map(|row| (row[0].clone(), number(&row[1]))).collect();
    assert_eq!(spec, code);

    // Every constant of the file is in the list above, or is named here with its reason.
    code.push(("MIN_OP".into(), 83)); // follows from the layout (OPS-7)
    code.push(("MIN_HEARTBEAT".into(), 1_000)); // MSG-20
    code.push(("MAX_HEARTBEAT".into(), 3_600_000)); // MSG-20
    let source = fs::read_to_string(spec::root().join("src/limits.rs")).unwrap();
    let names: Vec<_> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split_once(':').map(|(name, _)| name))
        .collect();
    assert_eq!(names.len(), code.len());
    for name in names {
        assert!(code.iter().any(|(known, _)| known == name), "{name} is not compared with SPEC.md");
    }
}

/// The enums of the Kaitai description: number and name, by the name of the enum.
fn kaitai_enums() -> BTreeMap<String, Vec<(u64, String)>> {
    let mut enums: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    for entry in fs::read_dir(spec::root().join("test-vectors/kaitai")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ext| ext != "ksy") {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        let Some((_, text)) = text.split_once("\nenums:\n") else { continue };
        let mut current = String::new();
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let indent = line.len() - line.trim_start().len();
            match (indent, line.trim().split_once(':')) {
                (0, Some(_)) => break,
                (2, Some((name, _))) => current = name.into(),
                (4, Some((value, name))) => {
                    let list = enums.entry(current.clone()).or_default();
                    // YAML would take an unquoted null for nothing.
                    list.push((number(value), name.trim().trim_matches('"').into()));
                }
                // A name that some language reserves stands in a form of its own, with the real one.
                (6, Some(("-orig-id", name))) => {
                    enums.get_mut(&current).unwrap().last_mut().unwrap().1 = name.trim().into();
                }
                _ => {}
            }
        }
    }
    enums
}

fn snake(codes: Vec<(u64, String)>) -> Vec<(u64, String)> {
    codes.into_iter().map(|(code, name)| (code, name.to_lowercase().replace(' ', "_"))).collect()
}

#[test]
fn kaitai_names_the_same_numbers() {
    let enums = kaitai_enums();
    assert_eq!(enums["error_code"], snake(code(ErrorCode::ALL, |code| code.0.into())));
    assert_eq!(enums["message_type"], snake(code(MessageType::ALL, |code| code.0.into())));
    assert_eq!(enums["limit_id"], snake(code(LimitId::ALL, |code| code.0.into())));
    assert_eq!(enums["goodbye_reason"], snake(code(GoodbyeReason::ALL, |code| code.0.into())));
    assert_eq!(enums["block_encoding"], snake(code(Encoding::ALL, |code| code.0.into())));
    assert_eq!(enums["expression_op"], snake(pairs("expressions", hex)));
    let capabilities: Vec<_> =
        enums["capability"].iter().filter(|(_, name)| !name.ends_with("_must")).cloned().collect();
    assert_eq!(capabilities, snake(code(Capability::ALL, |code| code.0.into())));
    let tags: Vec<_> =
        enums["value_tag"].iter().filter(|(_, name)| !name.starts_with("inline_string")).cloned().collect();
    assert_eq!(tags, snake(code(Tag::ALL, |tag| tag.0.into())));
    let names = &enums["common_name"];
    assert_eq!(names.iter().map(|(key, _)| *key).collect::<Vec<_>>(), (1..=58).collect::<Vec<_>>());
}
