//! `harness`: the line protocol of test-vectors/README.md for this implementation.

use std::io::{self, BufRead, Write};

use anyhow::Result;
use blazedb_relay::registry::ErrorCode;
use blazedb_relay_conformance::meaning::{Context, Refusal, Target, decode, encode, hex, parse_json, unhex};
use blazedb_relay_conformance::merge;
use blazedb_relay_conformance::session::{Machine, Role};
use blazedb_relay_conformance::vectors::MERGE;
use serde_json::{Value as Json, json};

use crate::Outcome;

/// Where chance begins.
const SEED: u64 = 11;

/// Runs the command.
pub(crate) fn run() -> Result<Outcome> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut line = Vec::new();
    let mut ends = None;
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(Outcome::Fine);
        }
        if !line.trim_ascii().is_empty() {
            writeln!(output, "{}", answer(&line, &mut ends))?;
            output.flush()?;
        }
    }
}

/// The answer to one request. A session vector keeps its end from one request to the next.
fn answer(line: &[u8], end: &mut Option<Machine>) -> Json {
    let request = core::str::from_utf8(line).ok().and_then(|text| parse_json(text.trim()).ok());
    let id = request.as_ref().and_then(|request| request.get("id")).cloned().unwrap_or_default();
    match request
        .as_ref()
        .and_then(|request| respond(request, end))
        .unwrap_or_else(|| Err(("BAD_REQUEST".into(), 0)))
    {
        Ok(ok) => json!({ "id": id, "ok": ok }),
        Err((code, offset)) => json!({ "id": id, "err": { "code": code, "offset": offset } }),
    }
}

/// What the request asks for; `None` if it is not understood.
fn respond(request: &Json, end: &mut Option<Machine>) -> Option<Result<Json, (String, u32)>> {
    let operation = request.get("op")?.as_str()?;
    if operation == "targets" {
        let targets = Target::ALL.into_iter().map(Target::name).chain([MERGE]);
        let targets: Vec<_> = targets.chain(Role::ALL.map(Role::target)).collect();
        return Some(Ok(json!({ "targets": targets })));
    }
    if operation == "merge" {
        let ops = request.get("ops")?.as_array()?;
        return answered(merge::answer(ops).map(|state| json!({ "state": state })));
    }
    if operation == "session" {
        return session(request, end);
    }
    let target = Target::from_name(request.get("target")?.as_str()?)?;
    let context = request.get("context").map_or_else(|| Some(Context::default()), Context::from_json)?;
    match operation {
        "decode" => {
            let input = unhex(request.get("hex")?.as_str()?)?;
            Some(match decode(target, &input, &context) {
                Ok(decoded) => {
                    // Nothing encodes to no bytes: there is no canonical form that fits.
                    let reencoded = Some(hex(&decoded.reencoded)).filter(|hex| !hex.is_empty());
                    Ok(json!({ "value": decoded.value, "reencoded": reencoded }))
                }
                Err(error) => Err((name(error.code), error.offset)),
            })
        }
        "encode" => {
            let encoded = encode(target, request.get("value")?, &context);
            answered(encoded.map(|bytes| json!({ "hex": hex(&bytes) })))
        }
        _ => None,
    }
}

/// Begins a session vector, takes one step of it, or ends it.
fn session(request: &Json, end: &mut Option<Machine>) -> Option<Result<Json, (String, u32)>> {
    if let Some(start) = request.get("start") {
        let role = Role::of(request.get("target")?.as_str()?)?;
        return answered(Machine::start(role, start, SEED).map(|machine| {
            *end = Some(machine);
            json!({})
        }));
    }
    if request.get("end").is_some() {
        *end = None;
        return Some(Ok(json!({})));
    }
    let at_ms = request.get("at_ms")?.as_str()?.parse().ok()?;
    let answer = end.as_mut()?.step(at_ms, request.get("input")?);
    answered(answer.map(|answer| answer.to_json()))
}

/// An answer, or the code of the rule that it would break; `None` if the JSON was not understood.
fn answered(result: Result<Json, Refusal>) -> Option<Result<Json, (String, u32)>> {
    match result {
        Ok(json) => Some(Ok(json)),
        Err(Refusal::Build(error)) => Some(Err((name(error.code), 0))),
        Err(Refusal::Decode(error)) => Some(Err((name(error.code), 0))),
        Err(_) => None,
    }
}

/// The name of an error code, or its number.
pub(crate) fn name(code: ErrorCode) -> String {
    code.name().map_or_else(|| code.0.to_string(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(line: &str) -> Json {
        answer(line.as_bytes(), &mut None)
    }

    #[test]
    fn answers_are_those_of_the_documentation() {
        let targets = ask(r#"{"id":9,"op":"targets"}"#);
        assert_eq!(targets["ok"]["targets"].as_array().unwrap().len(), Target::ALL.len() + 3);
        assert_eq!(
            ask(r#"{"id":7,"op":"decode","target":"value","hex":"122a","context":{}}"#),
            json!({ "id": 7, "ok": { "value": { "type": "int", "value": "42" }, "reencoded": "122a" } })
        );
        assert_eq!(
            ask(r#"{"id":7,"op":"decode","target":"value","hex":"02000000000000002a"}"#),
            json!({ "id": 7, "err": { "code": "NON_CANONICAL", "offset": 0 } })
        );
        assert_eq!(
            ask(r#"{"id":"x","op":"encode","target":"value","value":{"type":"int","value":"42"}}"#),
            json!({ "id": "x", "ok": { "hex": "122a" } })
        );
        assert_eq!(ask(r#"{"id":1,"op":"merge","ops":[]}"#), json!({ "id": 1, "ok": { "state": {} } }));
    }

    #[test]
    fn what_is_not_understood_is_a_bad_request() {
        let bad = |id: Json| json!({ "id": id, "err": { "code": "BAD_REQUEST", "offset": 0 } });
        assert_eq!(ask("nonsense"), bad(Json::Null));
        assert_eq!(ask("[]"), bad(Json::Null));
        assert_eq!(answer(&[0xFF, b'\n'], &mut None), bad(Json::Null));
        assert_eq!(ask(r#"{"id":1,"op":"sing"}"#), bad(json!(1)));
        assert_eq!(ask(r#"{"id":1,"op":"merge","ops":[{}]}"#), bad(json!(1)));
        assert_eq!(ask(r#"{"id":1,"op":"decode","target":"value","hex":"1"}"#), bad(json!(1)));
        assert_eq!(ask(r#"{"id":1,"op":"decode","target":"song","hex":"12"}"#), bad(json!(1)));
        assert_eq!(
            ask(r#"{"id":1,"op":"encode","target":"value","value":{"type":"int","value":42}}"#),
            bad(json!(1))
        );
        assert_eq!(
            ask(r#"{"id":1,"op":"decode","target":"value","hex":"12","context":{"phase":"x"}}"#),
            bad(json!(1))
        );
    }
}
