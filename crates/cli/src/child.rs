//! Another implementation, spoken to over the harness protocol.

use core::fmt;
use core::time::Duration;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child as Process, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;

use anyhow::{Context, Result};
use blazedb_relay_conformance::meaning::parse_json;
use serde_json::{Value as Json, json};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer that is read: the meaning of a largest frame, with room.
const MAX_ANSWER: u64 = 256 << 20;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// The process is not usable any more.
    Gone(String),
    /// It answered, but not as the protocol says.
    Garbled(String),
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(what) | Self::Garbled(what) => f.write_str(what),
        }
    }
}

/// A process that answers requests. It ends when this is dropped.
pub(crate) struct Child {
    process: Process,
    requests: Sender<String>,
    answers: Receiver<String>,
    patience: Duration,
    last_id: u64,
}

impl Child {
    /// Starts the command; its standard error is this program's.
    pub(crate) fn start(command: &[OsString]) -> Result<Self> {
        let (program, args) = command.split_first().context("there is no command after --")?;
        let mut process = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let mut stdin = process.stdin.take().context("the command has no standard input")?;
        let stdout = process.stdout.take().context("the command has no standard output")?;
        let (requests, to_send) = channel::<String>();
        let (received, answers) = channel();
        // Both ends get a thread, so that a process that neither reads nor answers is noticed.
        thread::spawn(move || {
            for line in to_send {
                if stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()).is_err() {
                    return;
                }
            }
        });
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = Vec::new();
            while stdout.by_ref().take(MAX_ANSWER).read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                line.clear();
                if received.send(text).is_err() {
                    return;
                }
            }
        });
        Ok(Self { process, requests, answers, patience: PATIENCE, last_id: 0 })
    }

    /// Asks and waits for the answer: `Ok` of what it has for "ok", or the code and offset of "err".
    pub(crate) fn ask(&mut self, mut request: Json) -> Result<Result<Json, (String, u64)>, Silence> {
        self.last_id += 1;
        request["id"] = json!(self.last_id);
        if self.requests.send(format!("{request}\n")).is_err() {
            return Err(self.gone());
        }
        let line = match self.answers.recv_timeout(self.patience) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return Err(self.gone()),
            Err(RecvTimeoutError::Timeout) => {
                let seconds = self.patience.as_secs_f32();
                return Err(Silence::Gone(format!("no answer within {seconds} s")));
            }
        };
        self.read(line.trim()).ok_or_else(|| {
            let shown: String = line.trim().chars().take(200).collect();
            Silence::Garbled(format!("not an answer to request {}: {shown:?}", self.last_id))
        })
    }

    fn read(&self, line: &str) -> Option<Result<Json, (String, u64)>> {
        let mut answer = parse_json(line).ok()?;
        if answer["id"] != json!(self.last_id) {
            return None;
        }
        if let Some(ok) = answer.get_mut("ok") {
            return Some(Ok(ok.take()));
        }
        let error = answer.get("err")?;
        Some(Err((error.get("code")?.as_str()?.into(), error.get("offset")?.as_u64()?)))
    }

    fn gone(&mut self) -> Silence {
        // It closed its output; that is nearly always because it ended.
        thread::sleep(Duration::from_millis(50));
        Silence::Gone(match self.process.try_wait() {
            Ok(Some(status)) => format!("the process ended ({status})"),
            _ => "the process closed its standard output".into(),
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        Child::start(&["sh".into(), "-c".into(), script.into()]).unwrap()
    }

    #[test]
    fn answers_are_read() {
        let mut child = shell(
            r#"read a; echo '{"id":1,"ok":{"x":1}}'; read a; echo '{"id":2,"err":{"code":"EMPTY","offset":3}}'"#,
        );
        assert_eq!(child.ask(json!({})), Ok(Ok(json!({ "x": 1 }))));
        assert_eq!(child.ask(json!({})), Ok(Err(("EMPTY".into(), 3))));
    }

    #[test]
    fn a_process_that_ends_says_how() {
        let mut child = shell("exit 3");
        let Err(Silence::Gone(what)) = child.ask(json!({})) else { panic!("it cannot answer") };
        assert!(what.contains('3'), "{what}");
    }

    #[test]
    fn a_process_that_hangs_is_given_up() {
        let mut child = shell("exec sleep 60");
        child.patience = Duration::from_millis(100);
        let what = child.ask(json!({ "hex": "00".repeat(1 << 20) })).unwrap_err();
        assert_eq!(what, Silence::Gone("no answer within 0.1 s".into()));
    }

    #[test]
    fn what_is_no_answer_is_quoted() {
        for line in ["hello", r#"{"id":7,"ok":{}}"#, r#"{"id":1}"#, r#"{"id":1,"err":{"code":1}}"#] {
            let mut child = shell(&format!("read a; echo '{line}'"));
            assert!(matches!(child.ask(json!({})), Err(Silence::Garbled(_))), "{line}");
        }
    }

    #[test]
    fn a_command_that_is_not_there_is_said() {
        let error = Child::start(&["no-such-command-here".into()]).err().unwrap();
        assert!(error.to_string().contains("no-such-command-here"));
    }
}
