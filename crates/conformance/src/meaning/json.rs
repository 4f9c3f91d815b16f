//! Reading the JSON forms of test-vectors/README.md.

use core::fmt;
use core::str::FromStr;

use blazedb_relay::error::{BuildError, DecodeError};
use blazedb_relay::wire::{NodeId, Position, Timestamp};
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// JSON that cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The JSON is not of the form that test-vectors/README.md describes.
    Json {
        /// The key where it is not.
        key: String,
        /// What should stand there.
        wanted: &'static str,
    },
    /// The protocol cannot carry what the JSON says.
    Build(BuildError),
    /// What the JSON says makes bytes that are not legal where they stand.
    Decode(DecodeError),
}

impl Refusal {
    pub(crate) fn json(key: &str, wanted: &'static str) -> Self {
        Self::Json { key: key.into(), wanted }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json { key, wanted } => write!(f, "\"{key}\" must be {wanted}"),
            Self::Build(error) => error.fmt(f),
            Self::Decode(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Refusal {}

impl From<BuildError> for Refusal {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

/// Most arrays and objects of a JSON text that may be open at once: a value that nests 64 deep takes about
/// 200.
const MAX_JSON_DEPTH: usize = 512;

/// Reads JSON that nests deeper than serde_json allows by itself, but not deeper than the stack.
///
/// # Errors
/// What is wrong with the text, for people.
pub fn parse_json(text: &str) -> Result<Json, String> {
    let (mut depth, mut deepest, mut string, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if string => escaped = true,
            b'"' => string = !string,
            b'[' | b'{' if !string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if deepest > MAX_JSON_DEPTH {
        return Err(format!("it nests {deepest} deep; at most {MAX_JSON_DEPTH} are allowed"));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit();
    let json = serde::Deserialize::deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(json)
}

pub(crate) fn refuse<T>(key: &str, wanted: &'static str) -> Result<T, Refusal> {
    Err(Refusal::json(key, wanted))
}

pub(crate) fn get<'a>(json: &'a Json, key: &str) -> Result<&'a Json, Refusal> {
    json.get(key).ok_or_else(|| Refusal::json(key, "there"))
}

pub(crate) fn text<'a>(json: &'a Json, key: &str) -> Result<&'a str, Refusal> {
    get(json, key)?.as_str().ok_or_else(|| Refusal::json(key, "a string"))
}

pub(crate) fn items<'a>(json: &'a Json, key: &str) -> Result<&'a [Json], Refusal> {
    get(json, key)?.as_array().map(Vec::as_slice).ok_or_else(|| Refusal::json(key, "an array"))
}

pub(crate) fn boolean(json: &Json, key: &str) -> Result<bool, Refusal> {
    get(json, key)?.as_bool().ok_or_else(|| Refusal::json(key, "true or false"))
}

pub(crate) fn parse<T: FromStr>(text: &str, key: &str) -> Result<T, Refusal> {
    text.parse().map_err(|_| Refusal::json(key, "a number of the field's type, in decimal, as a string"))
}

pub(crate) fn number<T: FromStr>(json: &Json, key: &str) -> Result<T, Refusal> {
    parse(text(json, key)?, key)
}

pub(crate) fn numbers<T: FromStr>(json: &Json, key: &str) -> Result<Vec<T>, Refusal> {
    items(json, key)?.iter().map(|item| parse(item.as_str().unwrap_or_default(), key)).collect()
}

pub(crate) fn bits(json: &Json, key: &str) -> Result<u64, Refusal> {
    u64::from_str_radix(text(json, key)?, 16).map_err(|_| Refusal::json(key, "16 hex digits"))
}

pub(crate) fn check(json: &Json, key: &str) -> Result<u32, Refusal> {
    u32::from_str_radix(text(json, key)?, 16).map_err(|_| Refusal::json(key, "8 hex digits"))
}

pub(crate) fn bytes(json: &Json, key: &str) -> Result<Vec<u8>, Refusal> {
    unhex(text(json, key)?).ok_or_else(|| Refusal::json(key, "hex"))
}

pub(crate) fn uuid(json: &Json, key: &str) -> Result<Uuid, Refusal> {
    Uuid::parse_str(text(json, key)?).map_err(|_| Refusal::json(key, "a UUID"))
}

pub(crate) fn node(json: &Json, key: &str) -> Result<NodeId, Refusal> {
    Ok(NodeId::new(uuid(json, key)?)?)
}

pub(crate) fn timestamp(json: &Json) -> Result<Timestamp, Refusal> {
    Ok(Timestamp::new(number(json, "counter")?, node(json, "node")?)?)
}

pub(crate) fn timestamp_json(timestamp: Timestamp) -> Json {
    json!({ "counter": timestamp.counter().to_string(), "node": timestamp.node().to_string() })
}

pub(crate) fn position(json: &Json) -> Result<Position, Refusal> {
    Ok(Position::new(number(json, "epoch")?, number(json, "seq")?)?)
}

pub(crate) fn position_json(position: Position) -> Json {
    json!({ "epoch": position.epoch().to_string(), "seq": position.seq().to_string() })
}

/// Bytes as lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// The bytes of hex digits, or `None` if they are none.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}
