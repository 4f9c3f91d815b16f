//! Putting vectors together, byte by byte.
//!
//! Nothing here uses the codec: bytes are written out from SPEC.md as named pieces, so that a bug of the
//! encoder cannot hide in the vectors.

use serde_json::{Value as Json, json};

/// Bytes as named pieces, which become the `layout` of a vector.
#[derive(Clone, Debug, Default)]
pub struct Bytes {
    pieces: Vec<(String, Run)>,
}

/// One piece.
#[derive(Clone, Debug)]
enum Run {
    Plain(Vec<u8>),
    /// `times` copies of `unit`, written out only when somebody needs the bytes.
    Repeat {
        unit: Vec<u8>,
        times: usize,
    },
    /// The CRC-32 of this many bytes before it.
    Crc(usize),
}

impl Bytes {
    /// No bytes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes written as hex; spaces do not matter.
    pub fn hex(self, name: &str, hex: &str) -> Self {
        self.raw(name, &unhex(hex))
    }

    /// Adds bytes.
    pub fn raw(mut self, name: &str, bytes: &[u8]) -> Self {
        self.pieces.push((name.into(), Run::Plain(bytes.to_vec())));
        self
    }

    /// Adds a u8.
    pub fn u8(self, name: &str, value: u8) -> Self {
        self.raw(name, &[value])
    }

    /// Adds a u16.
    pub fn u16(self, name: &str, value: u16) -> Self {
        self.raw(name, &value.to_be_bytes())
    }

    /// Adds a u32.
    pub fn u32(self, name: &str, value: u32) -> Self {
        self.raw(name, &value.to_be_bytes())
    }

    /// Adds a u48.
    pub fn u48(self, name: &str, value: u64) -> Self {
        self.raw(name, &value.to_be_bytes()[2..])
    }

    /// Adds a u64.
    pub fn u64(self, name: &str, value: u64) -> Self {
        self.raw(name, &value.to_be_bytes())
    }

    /// Adds text with a length of one byte.
    pub fn text8(self, name: &str, text: &str) -> Self {
        let len = u8::try_from(text.len()).expect("text8");
        self.u8(&format!("{name} length"), len).raw(name, text.as_bytes())
    }

    /// Adds text with a length of two bytes.
    pub fn text16(self, name: &str, text: &str) -> Self {
        let len = u16::try_from(text.len()).expect("text16");
        self.u16(&format!("{name} length"), len).raw(name, text.as_bytes())
    }

    /// Adds `times` copies of `unit`.
    pub fn repeat(mut self, name: &str, unit: &[u8], times: usize) -> Self {
        self.pieces.push((name.into(), Run::Repeat { unit: unit.to_vec(), times }));
        self
    }

    /// Adds other bytes with their pieces.
    pub fn then(mut self, other: Self) -> Self {
        self.pieces.extend(other.pieces);
        self
    }

    /// Adds the CRC-32 of everything so far.
    pub fn crc(self, name: &str) -> Self {
        let len = self.len();
        self.crc_of_last(name, len)
    }

    /// Adds the CRC-32 of the last `len` bytes.
    pub fn crc_of_last(mut self, name: &str, len: usize) -> Self {
        self.pieces.push((name.into(), Run::Crc(len)));
        self
    }

    /// How many bytes these are.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(|(_, run)| run.len()).sum()
    }

    /// The bytes written out.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (_, run) in &self.pieces {
            match run {
                Run::Plain(bytes) => out.extend_from_slice(bytes),
                Run::Repeat { unit, times } => out.extend(unit.repeat(*times)),
                Run::Crc(len) => {
                    let check = crc32fast::hash(&out[out.len() - len..]);
                    out.extend_from_slice(&check.to_be_bytes());
                }
            }
        }
        out
    }

    /// Replaces the bytes from `at` on; layout and names stay. For faults that are one changed byte.
    pub fn with(&self, at: usize, bytes: &[u8]) -> Self {
        let mut all = self.bytes();
        all[at..at + bytes.len()].copy_from_slice(bytes);
        let mut start = 0;
        let mut pieces = Vec::new();
        for (name, run) in &self.pieces {
            let end = start + run.len();
            pieces.push((name.clone(), Run::Plain(all[start..end].to_vec())));
            start = end;
        }
        Self { pieces }
    }

    /// The first `len` bytes, as one piece.
    pub fn cut(&self, len: usize) -> Self {
        Self::new().raw("cut short", &self.bytes()[..len])
    }

    /// True if the vector is written with runs instead of plain hex.
    fn is_long(&self) -> bool {
        self.len() > 4_096
    }

    /// `hex` of the vector file: a string, or a list of parts for long inputs.
    fn to_json(&self) -> Json {
        if !self.is_long() {
            return json!(hex(&self.bytes()));
        }
        let mut parts: Vec<Json> = Vec::new();
        for (_, run) in &self.pieces {
            match run {
                Run::Plain(bytes) => match parts.last_mut() {
                    Some(Json::String(last)) => last.push_str(&hex(bytes)),
                    _ => parts.push(json!(hex(bytes))),
                },
                Run::Repeat { unit, times } => {
                    parts.push(json!({ "repeat": hex(unit), "times": times.to_string() }));
                }
                Run::Crc(len) => parts.push(json!({ "crc32": len.to_string() })),
            }
        }
        Json::Array(parts)
    }

    fn layout(&self) -> Json {
        if self.is_long() {
            return json!([]);
        }
        let all = self.bytes();
        let mut start = 0;
        let mut layout = Vec::new();
        for (name, run) in &self.pieces {
            let end = start + run.len();
            if end > start {
                layout.push(json!([name, hex(&all[start..end])]));
            }
            start = end;
        }
        Json::Array(layout)
    }
}

impl Run {
    fn len(&self) -> usize {
        match self {
            Self::Plain(bytes) => bytes.len(),
            Self::Repeat { unit, times } => unit.len() * times,
            Self::Crc(_) => 4,
        }
    }
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a hex text; spaces do not matter.
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "odd number of hex digits: {text}");
    let pair =
        |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).expect("hex"), 16).expect("hex digits");
    digits.chunks(2).map(pair).collect()
}

/// What a decoder must say.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A value, which encodes to the same bytes.
    Valid,
    /// A value, which encodes to these bytes.
    ValidAs(Vec<u8>),
    /// This error code at this offset.
    Invalid(&'static str, usize),
}

/// One vector.
#[derive(Clone, Debug)]
pub struct Test {
    id: String,
    comment: String,
    flags: Vec<&'static str>,
    spec: Vec<&'static str>,
    bytes: Bytes,
    outcome: Outcome,
}

/// A valid vector. `spec` is the ids of the rules it shows, separated by spaces.
pub fn valid(id: &str, comment: &str, spec: &'static str, bytes: Bytes) -> Test {
    test(id, comment, spec, bytes, Outcome::Valid)
}

/// A valid vector that encodes to other bytes (SPEC.md 6.4).
pub fn valid_as(id: &str, comment: &str, spec: &'static str, bytes: Bytes, canonical: &Bytes) -> Test {
    test(id, comment, spec, bytes, Outcome::ValidAs(canonical.bytes()))
}

/// An invalid vector: one fault, which `flag` names.
pub fn invalid(
    id: &str,
    comment: &str,
    flag: &'static str,
    spec: &'static str,
    bytes: Bytes,
    (code, offset): (&'static str, usize),
) -> Test {
    Test { flags: vec![flag], ..test(id, comment, spec, bytes, Outcome::Invalid(code, offset)) }
}

fn test(id: &str, comment: &str, spec: &'static str, bytes: Bytes, outcome: Outcome) -> Test {
    let spec = spec.split_whitespace().collect();
    Test { id: id.into(), comment: comment.into(), flags: Vec::new(), spec, bytes, outcome }
}

impl Test {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its kinds of fault.
    pub fn flags(&self) -> &[&'static str] {
        &self.flags
    }

    /// Its rules.
    pub fn spec(&self) -> &[&'static str] {
        &self.spec
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.bytes()
    }

    /// What a decoder must say.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The test as JSON; `decoded` is what a valid one means, if it is not too long to state.
    pub fn to_json(&self, decoded: Option<Json>) -> Json {
        let mut json = json!({
            "id": self.id,
            "comment": self.comment,
            "flags": self.flags,
            "spec": self.spec,
            "hex": self.bytes.to_json(),
            "layout": self.bytes.layout(),
        });
        let rest = match &self.outcome {
            Outcome::Valid => json!({ "result": "valid", "canonical": "same" }),
            Outcome::ValidAs(bytes) => json!({ "result": "valid", "canonical": hex(bytes) }),
            Outcome::Invalid(code, offset) => {
                json!({ "result": "invalid", "error": { "code": code, "offset": offset } })
            }
        };
        merge(&mut json, rest);
        if let Some(decoded) = decoded.filter(|_| !self.bytes.is_long()) {
            merge(&mut json, json!({ "decoded": decoded }));
        }
        json
    }
}

fn merge(into: &mut Json, from: Json) {
    if let (Json::Object(into), Json::Object(from)) = (into, from) {
        into.extend(from);
    }
}

/// What was agreed on when the bytes came.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Names of capabilities.
    pub capabilities: &'static [&'static str],
    /// `handshake` or `session`.
    pub phase: &'static str,
    /// `plain`, `field` or `cell`.
    pub position: &'static str,
}

impl Context {
    /// All capabilities, after the handshake, a plain value.
    pub const ALL: Self =
        Self { capabilities: &["crdt", "compression", "query"], phase: "session", position: "plain" };

    /// The context as in a vector file.
    pub fn to_json(self) -> Json {
        json!({ "capabilities": self.capabilities, "phase": self.phase, "position": self.position })
    }
}

/// Vectors with one context.
#[derive(Clone, Debug)]
pub struct Group {
    /// A short name.
    pub name: &'static str,
    /// What was agreed on.
    pub context: Context,
    /// The vectors.
    pub tests: Vec<Test>,
}

/// A kind of fault, explained once per file: name, category, description, rules.
pub type Flag = (&'static str, &'static str, &'static str, &'static [&'static str]);

/// One file of vectors.
#[derive(Clone, Debug)]
pub struct File {
    /// Path below `test-vectors/`, as `v1/value/scalars.json`.
    pub path: &'static str,
    /// What is decoded.
    pub target: &'static str,
    /// What the file is about.
    pub header: &'static [&'static str],
    /// The kinds of fault in it.
    pub flags: &'static [Flag],
    /// The vectors.
    pub groups: Vec<Group>,
}
