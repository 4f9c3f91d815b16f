//! Reading what a command is given.

use core::fmt;
use core::time::Duration;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;

use anyhow::{Context, Result, bail};
use blazedb_relay_conformance::meaning::unhex;

use crate::output::note;

/// Most bytes that are read: far more than a capture of one session has.
const MAX_INPUT: u64 = 256 << 20;

/// How long nothing is said about waiting.
const PATIENCE: Duration = Duration::from_secs(2);

const EXAMPLE: &[u8] = include_bytes!("../../../test-vectors/examples/push.frame");

/// Where an input came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file.
    File(String),
    /// Standard input.
    Stdin,
    /// The example in this program.
    Example,
}

impl Source {
    /// What a command's FILE argument stands for.
    pub(crate) fn of(file: Option<&Path>) -> Self {
        match file {
            Some(path) if path != Path::new("-") => Self::File(path.display().to_string()),
            None if io::stdin().is_terminal() => Self::Example,
            _ => Self::Stdin,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.write_str(path),
            Self::Stdin => f.write_str("standard input"),
            Self::Example => f.write_str("the bundled example"),
        }
    }
}

/// Reads all of `source`.
pub(crate) fn read(source: &Source) -> Result<Vec<u8>> {
    let bytes = match source {
        Source::File(path) => {
            File::open(path).and_then(limited).with_context(|| format!("{path} cannot be read"))?
        }
        Source::Stdin => stdin().context("standard input cannot be read")?,
        Source::Example => EXAMPLE.to_vec(),
    };
    if bytes.len() as u64 > MAX_INPUT {
        bail!("{source} has more than {} MiB; give it in parts", MAX_INPUT >> 20);
    }
    Ok(bytes)
}

/// Reads standard input, and says so if nothing comes: a program that only waits looks broken.
fn stdin() -> io::Result<Vec<u8>> {
    let (done, waiting) = channel::<()>();
    thread::spawn(move || {
        if waiting.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            note("waiting for standard input to end; give a FILE to read that instead");
        }
    });
    let bytes = limited(io::stdin().lock());
    drop(done);
    bytes
}

fn limited(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_INPUT + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The bytes that hex text stands for; white space in it does not matter.
///
/// # Errors
/// What is wrong with the text, and where.
pub(crate) fn from_hex(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut digits = String::with_capacity(text.len());
    let (mut line, mut column) = (1, 0);
    for byte in text {
        column += 1;
        match byte {
            b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' => digits.push(char::from(*byte)),
            b'\n' => (line, column) = (line + 1, 0),
            byte if byte.is_ascii_whitespace() => {}
            _ => {
                let found = char::from(*byte).escape_default();
                return Err(format!("'{found}' in line {line}, column {column} is no hex digit"));
            }
        }
    }
    unhex(&digits).ok_or_else(|| format!("{} hex digits, an odd number: one is missing", digits.len()))
}

/// True for bytes that are more likely hex text than what it stands for.
pub(crate) fn looks_like_hex(bytes: &[u8]) -> bool {
    bytes.len() > 2 && from_hex(bytes).is_ok_and(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_text_may_be_laid_out_as_one_likes() {
        assert_eq!(from_hex(b"12 2A\n ff\r\n\t0 0").unwrap(), [0x12, 0x2A, 0xFF, 0]);
        assert!(from_hex(b"").unwrap().is_empty());
    }

    #[test]
    fn errors_in_hex_text_say_where() {
        assert_eq!(from_hex(b"12\n3x").unwrap_err(), "'x' in line 2, column 2 is no hex digit");
        assert_eq!(from_hex(b"123").unwrap_err(), "3 hex digits, an odd number: one is missing");
    }

    #[test]
    fn binary_does_not_look_like_hex() {
        assert!(looks_like_hex(b"122a\n"));
        assert!(!looks_like_hex(&[0x12, 0x2A, 0x00]));
        assert!(!looks_like_hex(b""));
    }
}
