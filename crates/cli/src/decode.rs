//! `decode`: explain bytes.

use std::io::Write;

use anyhow::{Result, bail};
use blazedb_relay::error::DecodeError;
use blazedb_relay::frame::{self, Phase};
use blazedb_relay::registry::ErrorCode;
use blazedb_relay_conformance::meaning::{Context, Position, Target, decode};

use crate::Outcome;
use crate::args::{self, Name, Place};
use crate::dump::{Fault, Table, explain};
use crate::guess::{Guess, guess};
use crate::input::{Source, from_hex, looks_like_hex, read};
use crate::output::{self, Stdout, counted};
use crate::rule;

/// Runs the command.
pub(crate) fn run(args: &args::Decode) -> Result<Outcome> {
    let Some(Given { source, mut bytes }) = given(args)? else { return Ok(Outcome::Bad) };
    if args.hex {
        match from_hex(&bytes) {
            Ok(decoded) => bytes = decoded,
            Err(error) => {
                output::error(&format!("{source} is not hex: {error}"));
                output::hint("leave --hex out if the input is the bytes themselves");
                return Ok(Outcome::Bad);
            }
        }
    }

    let (target, guess) = match args.target {
        Some(name) => (name.0, None),
        None => {
            let guess = guess(&bytes);
            if source != Source::Example {
                let Guess { target, why, .. } = guess;
                output::note(&format!("taken for a {}: {why} (--as overrides)", target.name()));
            }
            (guess.target, Some(guess))
        }
    };
    let job = Job { args, target, guess, context: context(args.position), bytes: &bytes };
    let mut out = output::stdout();
    let outcome = job.run(&mut out)?;
    out.flush()?;
    Ok(outcome)
}

struct Given {
    source: Source,
    bytes: Vec<u8>,
}

/// What is to be decoded: the example if nothing is given and nothing is asked of it.
fn given(args: &args::Decode) -> Result<Option<Given>> {
    let wants_input = args.hex || !matches!(args.target, None | Some(Name(Target::Message | Target::Frame)));
    let mut source = Source::of(args.file.as_deref());
    if source == Source::Example && wants_input {
        bail!("there is nothing to decode: give a file, or pipe bytes in (the bundled example is a message)");
    }
    let mut bytes = read(&source)?;
    if bytes.is_empty() {
        if args.file.is_some() || wants_input {
            output::error(&format!("{source} is empty; there is nothing to decode"));
            return Ok(None);
        }
        source = Source::Example;
        bytes = read(&source)?;
    }
    if source == Source::Example {
        output::note(
            "this is an example that comes with the program: a push, as a client sends it. To see your own \
             bytes: blazedb-relay decode FILE, or pipe them in; --help says more.",
        );
    }
    Ok(Some(Given { source, bytes }))
}

/// All capabilities, after the handshake.
pub(crate) fn context(place: Place) -> Context {
    let position = match place {
        Place::Plain => Position::Plain,
        Place::Field => Position::Field,
        Place::Cell => Position::Cell,
    };
    Context { position, ..Context::default() }
}

struct Job<'a> {
    args: &'a args::Decode,
    target: Target,
    guess: Option<Guess>,
    context: Context,
    bytes: &'a [u8],
}

impl Job<'_> {
    /// Explains one item after another until the input ends or one is not legal.
    fn run(&self, out: &mut Stdout) -> Result<Outcome> {
        let framed = matches!(self.target, Target::Frame | Target::Message);
        let (mut at, mut nth) = (0, 0u64);
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let item = if framed { first_frame(rest) } else { rest };
            nth += 1;
            let decoded = decode(self.target, item, &self.context);
            let mut inside = None;
            if self.args.json {
                if let Ok(decoded) = &decoded {
                    writeln!(out, "{}", decoded.value)?;
                }
            } else {
                let alone = nth == 1 && item.len() == self.bytes.len();
                let nth = (!alone).then_some(nth);
                inside = self.explain(out, nth, at, item, decoded.as_ref().err())?;
            }
            if let Err(error) = decoded {
                // The explanation comes first, even where both go to one terminal.
                out.flush()?;
                self.complain(error, at, inside);
                return Ok(Outcome::Bad);
            }
            at += item.len();
        }
        out.flush()?;
        if !self.args.json {
            let items = if nth == 1 {
                format!("this {} breaks no rule", self.target.name())
            } else {
                format!("{}, which break no rule", counted(nth, "frame"))
            };
            output::fine(&items);
        }
        Ok(Outcome::Fine)
    }

    fn explain(
        &self,
        out: &mut Stdout,
        nth: Option<u64>,
        at: usize,
        item: &[u8],
        error: Option<&DecodeError>,
    ) -> Result<Option<usize>> {
        let len = counted(item.len() as u64, "byte");
        let name = self.target.name();
        let title = match nth {
            Some(nth) => format!("{name} {nth}: {len} at {at}"),
            None => format!("{name}: {len}"),
        };
        if at > 0 {
            writeln!(out)?;
        }
        let bold = output::BOLD;
        writeln!(out, "{bold}{title}{bold:#}")?;
        let fault = error.map(|error| Fault { at: offset(error), code: name_of(error.code) });
        let mut table = Table::new(out, output::width(), self.bytes.len(), self.args.full);
        table.head()?;
        Ok(explain(self.target, item, at, fault, &mut |line| table.line(line))?)
    }

    /// Says what is wrong, where, which rule it breaks, and what to do.
    fn complain(&self, error: DecodeError, at: usize, inside: Option<usize>) {
        let mut text = format!("{} at byte {}", name_of(error.code), at + offset(&error));
        if let Some(inside) = inside {
            text.push_str(&format!(" (+{inside} when decompressed)"));
        }
        if !error.field.is_empty() {
            text.push_str(&format!(", in {}", error.field));
        }
        output::error(&text);
        let id = error.rule();
        if let Some(sentence) = rule::sentence(id) {
            output::rule(&format!("{id}: {sentence}"));
        }
        for hint in self.hints(error) {
            output::hint(&hint);
        }
    }

    fn hints(&self, error: DecodeError) -> Vec<String> {
        let mut hints = Vec::new();
        if !self.args.hex && looks_like_hex(self.bytes) {
            hints.push("the input looks like hex digits; --hex reads them".into());
        } else if let Some(Guess { target, why, sure: false }) = self.guess {
            let name = target.name();
            hints.push(format!("it was taken for a {name} because {why}; if it is something else, say --as"));
        }
        let what = match error.code {
            ErrorCode::TRUNCATED => "bytes are missing there, or a length before it is too large",
            ErrorCode::TRAILING_BYTES => {
                "bytes were added there, or a length or count before it is too small"
            }
            ErrorCode::BAD_CHECKSUM => {
                "the bytes are not those that their writer checked: they were changed on the way, or the \
                 writer computes the CRC-32 over other bytes (SPEC.md 4.3)"
            }
            ErrorCode::MISPLACED_VALUE if self.target == Target::Value => {
                "a value of an operation's field is read with --position field, a cell with --position cell"
            }
            _ => return hints,
        };
        hints.push(what.into());
        hints
    }
}

fn offset(error: &DecodeError) -> usize {
    usize::try_from(error.offset).unwrap_or(usize::MAX)
}

fn name_of(code: ErrorCode) -> &'static str {
    code.name().unwrap_or("unknown code")
}

/// The frame at the start of `bytes`, or all of them if it is not whole.
fn first_frame(bytes: &[u8]) -> &[u8] {
    match frame::peek(bytes, Phase::Session) {
        Ok(Some(len)) => bytes.get(..len).unwrap_or(bytes),
        _ => bytes,
    }
}
