//! `POST /query`: one query over HTTP, as a frame (SPEC.md 15.4) or as JSON.
//!
//! It is a connection like any other, over memory, that asks once and is gone: so whatever holds for
//! queries of a session holds here, from credentials to limits.

mod call;
mod json;

use core::time::Duration;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use blazedb_relay::codec::{Context, Packet};
use blazedb_relay::limits::MAX_FRAME;
use blazedb_relay::message::Message;
use blazedb_relay::registry::{Capabilities, ErrorCode};
use blazedb_relay::wire::DatabaseName;
use bytes::Bytes;
use serde_json::{Value as Json, json};
use tokio::time::timeout;

use crate::http::{App, source_of};
use crate::query::call::Call;

/// The type of a body that holds frames.
const FRAMES: &str = "application/vnd.blazedb-relay";
/// The id of the only request of its connection.
const REQUEST: u32 = 1;
/// For all of it: waiting for the state and the query's own time are a part of that.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a body may hold that the query's own frame does not.
const MAX_BODY: usize = MAX_FRAME;

/// Why there is no answer: a status, a code of SPEC.md 14, and what was wrong.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    code: ErrorCode,
    text: String,
}

impl Failure {
    fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        let text = text.into();
        let text = if text.is_empty() { advice(code).to_owned() } else { text };
        Self { status: status(code), code, text }
    }
}

impl axum::response::IntoResponse for Failure {
    fn into_response(self) -> Response {
        let code = self.code.name().map_or_else(|| self.code.0.to_string(), str::to_owned);
        let error = json!({ "error": { "code": code, "number": self.code.0, "text": self.text } });
        answer(self.status, "application/json", format!("{error}\n"))
    }
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    (status, [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")], body.into()).into_response()
}

/// The HTTP status for an error.
const fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::UNAUTHENTICATED | ErrorCode::TOKEN_EXPIRED => StatusCode::UNAUTHORIZED,
        ErrorCode::FORBIDDEN => StatusCode::FORBIDDEN,
        ErrorCode::UNKNOWN_DATABASE => StatusCode::NOT_FOUND,
        ErrorCode::TOO_MANY_REQUESTS | ErrorCode::RATE_LIMITED => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::QUERY_TOO_EXPENSIVE => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::STATE_NOT_REACHED
        | ErrorCode::STORE_UNAVAILABLE
        | ErrorCode::SHUTTING_DOWN
        | ErrorCode::OVERLOADED => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::INTERNAL_ERROR => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// What to do about an error that came without a text.
const fn advice(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::UNAUTHENTICATED => "send a token that this relay knows: Authorization: Bearer ...",
        ErrorCode::TOKEN_EXPIRED => "the token was good and is not any more; get a new one",
        ErrorCode::FORBIDDEN => "the token does not allow this",
        ErrorCode::UNKNOWN_DATABASE => "there is no such database; check its name",
        ErrorCode::QUERY_FAILED => {
            "the query cannot be answered; with aggregates or group_by, sort by these only"
        }
        ErrorCode::QUERY_TOO_EXPENSIVE => {
            "the query takes too much time or memory, or looks at too many records; ask for less, or add an \
             index: a record of _indexes"
        }
        ErrorCode::BAD_CURSOR => "the cursor is not of this query; begin with the first page",
        ErrorCode::STATE_NOT_REACHED => "the state has not come so far yet; try again",
        ErrorCode::STORE_UNAVAILABLE => "the database cannot be read now; try again, and look at the logs",
        _ => "",
    }
}

/// What is to be asked, before it is a frame.
enum Asked {
    Frame(Bytes),
    Json(Box<json::Question>),
}

//= TRN-7
/// Answers a query.
pub(crate) async fn query(State(app): State<Arc<App>>, request: Request) -> Response {
    match timeout(PATIENCE, ask(&app, request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(failure)) => failure.into_response(),
        Err(_) => Failure::new(ErrorCode::STORE_UNAVAILABLE, "").into_response(),
    }
}

async fn ask(app: &Arc<App>, request: Request) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let token = token(&parts.headers)?;
    let database = database(parts.uri.query().unwrap_or_default())?;
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_frames = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FRAMES));
    let body = to_bytes(body, MAX_BODY).await;
    let body = body.map_err(|_| Failure::new(ErrorCode::TOO_LONG, "a query has at most 1,052,672 bytes"))?;
    let asked = if is_frames {
        check_frame(&body)?;
        Asked::Frame(body)
    } else {
        let question = json::Question::parse(&body);
        Asked::Json(Box::new(question.map_err(|text| Failure::new(ErrorCode::QUERY_FAILED, text))?))
    };
    if app.going_down.load(core::sync::atomic::Ordering::Relaxed) {
        return Err(Failure::new(ErrorCode::SHUTTING_DOWN, "this relay is going down"));
    }
    let call = Call::open(app, source_of(app, &parts), &database, token).await?;
    match asked {
        Asked::Frame(frame) => {
            call.send(frame);
            let mut frames = Vec::new();
            while call.answer(|frame, _| frames.extend_from_slice(frame)).await? {}
            Ok(answer(StatusCode::OK, FRAMES, frames))
        }
        Asked::Json(question) => {
            call.send(question.frame(REQUEST).map_err(|text| Failure::new(ErrorCode::QUERY_FAILED, text))?);
            let mut shown = Json::Null;
            while call.answer(|_, response| json::show(response, &mut shown)).await? {}
            Ok(answer(StatusCode::OK, "application/json", format!("{shown}\n")))
        }
    }
}

/// Whether that is a query and nothing else.
//= TRN-6
fn check_frame(frame: &[u8]) -> Result<(), Failure> {
    match Packet::decode(frame, &Context::session(Capabilities::ALL)) {
        Ok(packet) if matches!(packet.message(), Message::Query(_)) => Ok(()),
        Ok(_) => Err(Failure::new(ErrorCode::UNEXPECTED_MESSAGE, "this is no query (SPEC.md 7.13)")),
        Err(error) => Err(Failure::new(error.code, error.to_string())),
    }
}

/// The token of a request, if it has one.
//= SEC-11
fn token(headers: &HeaderMap) -> Result<Option<Bytes>, Failure> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    match value.as_bytes().split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty() => {
            Ok(Some(Bytes::copy_from_slice(token)))
        }
        _ => Err(Failure::new(ErrorCode::UNAUTHENTICATED, "write Authorization: Bearer and the token")),
    }
}

/// The database that the address names.
fn database(query: &str) -> Result<DatabaseName, Failure> {
    let named = query.split('&').find_map(|pair| pair.strip_prefix("database="));
    let text = "the address names the database, as /query?database=app: a to z, 0 to 9, - _ . and at most 64";
    // Such a name needs no escaping (MSG-10).
    named.and_then(|name| DatabaseName::new(name).ok()).ok_or_else(|| Failure::new(ErrorCode::BAD_NAME, text))
}
