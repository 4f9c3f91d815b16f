//! `vectors`: run the test vectors.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use blazedb_relay_conformance::meaning::{Context, Target, decode, encode, hex, unhex};
use blazedb_relay_conformance::merge;
use blazedb_relay_conformance::session::{self, Role};
use blazedb_relay_conformance::vectors::{self, Expected, MERGE, MergeTest, Test, compare};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value as Json, json};

use crate::Outcome;
use crate::args::{self, VectorTarget};
use crate::child::{Child, Silence};
use crate::harness::name;
use crate::output::{self, BAD, BOLD, FAINT, GOOD, WORD, grouped, wrap};

/// Most failures that are listed.
const MAX_LISTED: usize = 20;
/// Longest text of one failure that is listed.
const MAX_TEXT: usize = 400;
/// Where chance begins in this program's ends.
const SEED: u64 = 7;
/// How often another implementation is started again after it died.
const MAX_DEATHS: usize = 5;

/// Runs the command.
pub(crate) fn run(args: &args::Vectors) -> Result<Outcome> {
    let folder = match &args.dir {
        Some(dir) => dir.clone(),
        None => find(&env::current_dir()?)?,
    };
    let unread = |error| {
        anyhow!(
            "{error}; give the folder that holds MANIFEST.json with --dir (test-vectors in the repository)"
        )
    };
    let files = vectors::load(&folder).map_err(unread)?;
    let merges = vectors::load_merge(&folder).map_err(unread)?;
    let sessions = vectors::load_session(&folder).map_err(unread)?;
    let bytes = files.iter().flat_map(|file| file.tests.iter().map(|test| Vector::Bytes(file.target, test)));
    let chosen: Vec<_> = bytes
        .chain(merges.iter().map(Vector::Merge))
        .chain(sessions.iter().map(Vector::Session))
        .filter(|vector| args.targets.is_empty() || args.targets.contains(&vector.target()))
        .filter(|vector| args.id.as_ref().is_none_or(|prefix| vector.id().starts_with(prefix)))
        .collect();
    if chosen.is_empty() {
        bail!("none of the vectors in {} has that target and id", folder.display());
    }
    let mut tested = match &*args.command {
        [] => Tested::This,
        command => Tested::other(command)?,
    };
    let report = test_all(&mut tested, &chosen, !args.ignore_offsets)?;
    let print = if args.json { print_json } else { print_text };
    print(&report)?;
    Ok(if report.failures.is_empty() { Outcome::Fine } else { Outcome::Bad })
}

/// The nearest folder of vectors, looking upwards from `from`.
fn find(from: &Path) -> Result<PathBuf> {
    let places: Vec<_> = from.ancestors().map(|folder| folder.join("test-vectors")).collect();
    let found = places.iter().find(|folder| folder.join("MANIFEST.json").is_file());
    found.cloned().ok_or_else(|| {
        let looked: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
        anyhow!(
            "no MANIFEST.json of test vectors found; looked in {}. Run it in the repository, or give the \
             folder with --dir",
            looked.join(", ")
        )
    })
}

/// One vector.
#[derive(Clone, Copy)]
enum Vector<'a> {
    Bytes(Target, &'a Test),
    Merge(&'a MergeTest),
    Session(&'a session::Test),
}

impl Vector<'_> {
    const fn target(&self) -> VectorTarget {
        match self {
            Self::Bytes(target, _) => VectorTarget::Bytes(*target),
            Self::Merge(_) => VectorTarget::Merge,
            Self::Session(test) => VectorTarget::Session(test.role),
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Bytes(_, test) => &test.id,
            Self::Merge(test) => &test.id,
            Self::Session(test) => &test.id,
        }
    }

    fn spec(&self) -> &[String] {
        match self {
            Self::Bytes(_, test) => &test.spec,
            Self::Merge(test) => &test.spec,
            Self::Session(test) => &test.spec,
        }
    }
}

/// What the vectors are run against.
enum Tested {
    /// This program.
    This,
    /// Another one.
    Other { child: Child, command: Vec<std::ffi::OsString>, targets: Vec<VectorTarget>, deaths: usize },
}

type Answer<T> = Result<Result<T, (String, u64)>, Silence>;

impl Tested {
    fn other(command: &[std::ffi::OsString]) -> Result<Self> {
        let mut child = Child::start(command)?;
        let names = match child.ask(json!({ "op": "targets" })) {
            Ok(Ok(ok)) => ok["targets"].as_array().cloned(),
            Ok(Err((code, _))) => bail!("the harness answered the request \"targets\" with {code}"),
            Err(silence) => bail!("the harness was asked for its targets: {silence}"),
        };
        let names = names.context("the harness named no targets")?;
        let targets = names.iter().filter_map(Json::as_str).filter_map(|name| match name {
            MERGE => Some(VectorTarget::Merge),
            name => Target::from_name(name)
                .map(VectorTarget::Bytes)
                .or_else(|| Role::of(name).map(VectorTarget::Session)),
        });
        let targets = targets.collect();
        Ok(Self::Other { child, command: command.to_vec(), targets, deaths: 0 })
    }

    fn knows(&self, target: VectorTarget) -> bool {
        match self {
            Self::This => true,
            Self::Other { targets, .. } => targets.contains(&target),
        }
    }

    fn decode(&mut self, target: Target, test: &Test) -> Answer<(Json, Vec<u8>)> {
        match self {
            Self::This => {
                let decoded = decode(target, &test.input, &context(test)?);
                let error =
                    |error: blazedb_relay::error::DecodeError| (name(error.code), error.offset.into());
                Ok(decoded.map(|decoded| (decoded.value, decoded.reencoded)).map_err(error))
            }
            Self::Other { child, .. } => {
                let answer = child.ask(json!({
                    "op": "decode",
                    "target": target.name(),
                    "hex": hex(&test.input),
                    "context": test.context,
                }))?;
                Ok(answer.map(|mut ok| {
                    let reencoded = ok["reencoded"].as_str().and_then(unhex).unwrap_or_default();
                    (ok["value"].take(), reencoded)
                }))
            }
        }
    }

    fn encode(&mut self, target: Target, test: &Test, value: &Json) -> Answer<Vec<u8>> {
        match self {
            Self::This => {
                let encoded = encode(target, value, &context(test)?);
                Ok(encoded.map_err(|refusal| (refusal.to_string(), 0)))
            }
            Self::Other { child, .. } => {
                let answer = child.ask(json!({
                    "op": "encode",
                    "target": target.name(),
                    "value": value,
                    "context": test.context,
                }))?;
                Ok(answer.map(|ok| ok["hex"].as_str().and_then(unhex).unwrap_or_default()))
            }
        }
    }

    fn merge(&mut self, ops: &[Json]) -> Answer<Json> {
        match self {
            Self::This => Ok(merge::answer(ops).map_err(|refusal| (refusal.to_string(), 0))),
            Self::Other { child, .. } => {
                let answer = child.ask(json!({ "op": "merge", "ops": ops }))?;
                Ok(answer.map(|mut ok| ok["state"].take()))
            }
        }
    }

    /// Goes on after a death.
    fn revive(&mut self) -> Result<()> {
        if let Self::Other { child, command, deaths, .. } = self {
            *deaths += 1;
            if *deaths >= MAX_DEATHS {
                bail!("the command died {MAX_DEATHS} times");
            }
            *child = Child::start(command)?;
        }
        Ok(())
    }
}

fn context(test: &Test) -> Result<Context, Silence> {
    Context::from_json(&test.context)
        .ok_or_else(|| Silence::Garbled(format!("the context {} is not understood", test.context)))
}

#[derive(Debug, Default)]
struct Report {
    passed: u64,
    skipped: u64,
    /// Vectors that were not run because the command died too often.
    not_run: usize,
    failures: Vec<Failure>,
}

#[derive(Debug)]
struct Failure {
    id: String,
    spec: Vec<String>,
    what: String,
}

fn test_all(tested: &mut Tested, tests: &[Vector<'_>], offsets: bool) -> Result<Report> {
    let bar = ProgressBar::new(tests.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {msg:.dim}")?);
    let mut report = Report::default();
    for (i, vector) in tests.iter().enumerate() {
        bar.inc(1);
        bar.set_message(vector.id().to_owned());
        if !tested.knows(vector.target()) {
            report.skipped += 1;
            continue;
        }
        let verdict = match vector {
            Vector::Bytes(target, test) => run_one(tested, *target, test, offsets),
            Vector::Merge(test) => run_merge(tested, test),
            Vector::Session(test) => run_session(tested, test),
        };
        let what = match &verdict {
            Ok(None) => {
                report.passed += 1;
                continue;
            }
            Ok(Some(what)) => what.clone(),
            Err(silence) => silence.to_string(),
        };
        let (id, spec) = (vector.id().to_owned(), vector.spec().to_vec());
        report.failures.push(Failure { id, spec, what });
        if let Err(Silence::Gone(_)) = verdict
            && let Err(error) = tested.revive()
        {
            report.not_run = tests.len() - i - 1;
            bar.suspend(|| output::error(&format!("{error:#}; gave up at {}", vector.id())));
            break;
        }
    }
    bar.finish_and_clear();
    Ok(report)
}

/// What is wrong with the answers to one vector, if anything.
fn run_one(
    tested: &mut Tested,
    target: Target,
    test: &Test,
    offsets: bool,
) -> Result<Option<String>, Silence> {
    let answer = tested.decode(target, test)?;
    if let Some(what) = compare(test, &answer, offsets) {
        return Ok(Some(format!("decode: {what}")));
    }
    let Expected::Valid { decoded: Some(value), canonical } = &test.expected else { return Ok(None) };
    Ok(match tested.encode(target, test, value)? {
        Ok(bytes) if bytes == *canonical => None,
        Ok(bytes) => Some(format!("encode: wanted {}, got {}", hex(canonical), hex(&bytes))),
        Err((error, _)) => Some(format!("encode: wanted {}, got {error}", hex(canonical))),
    })
}

/// What is wrong with the answer to one merge vector, in the first order in which something is.
fn run_merge(tested: &mut Tested, test: &MergeTest) -> Result<Option<String>, Silence> {
    for (order, ops) in test.orders.iter().zip(test.deliveries()) {
        let got = match tested.merge(&ops)? {
            Ok(state) if state == test.expect => continue,
            Ok(state) => state.to_string(),
            Err((error, _)) => error,
        };
        return Ok(Some(format!("merge in the order {order:?}, twice: wanted {}, got {got}", test.expect)));
    }
    Ok(None)
}

/// What is wrong with the walk through one session vector, at the first step at which something is.
fn run_session(tested: &mut Tested, test: &session::Test) -> Result<Option<String>, Silence> {
    match tested {
        Tested::This => {
            let Ok(what) = session::run(&mut session::This::new(SEED), test);
            Ok(what)
        }
        Tested::Other { child, .. } => {
            let what = session::run(&mut Harness(child), test)?;
            child.ask(json!({ "op": "session", "end": true }))?.ok();
            Ok(what)
        }
    }
}

/// An end in another process.
struct Harness<'c>(&'c mut Child);

impl session::Peer for Harness<'_> {
    type Error = Silence;

    fn start(&mut self, role: Role, start: &Json) -> Result<Result<(), String>, Silence> {
        let answer = self.0.ask(json!({ "op": "session", "target": role.target(), "start": start }))?;
        Ok(answer.map(|_| ()).map_err(|(code, _)| code))
    }

    fn step(&mut self, at_ms: u64, input: &Json) -> Result<Result<session::Answer, String>, Silence> {
        let request = json!({ "op": "session", "at_ms": at_ms.to_string(), "input": input });
        Ok(match self.0.ask(request)? {
            Ok(ok) => session::Answer::from_json(&ok).ok_or_else(|| format!("the answer is {ok}")),
            Err((code, _)) => Err(code),
        })
    }
}

fn print_text(report: &Report) -> Result<()> {
    let mut out = output::stdout();
    for failure in report.failures.iter().take(MAX_LISTED) {
        let rules =
            if failure.spec.is_empty() { String::new() } else { format!(" ({})", failure.spec.join(", ")) };
        writeln!(out, "{BAD}failed{BAD:#} {BOLD}{}{BOLD:#}{FAINT}{rules}{FAINT:#}", failure.id)?;
        let mut text: String = failure.what.chars().take(MAX_TEXT).collect();
        if text.len() < failure.what.len() {
            text.push_str("... (all of it: --json)");
        }
        for line in wrap(&text, output::width() - 4) {
            writeln!(out, "    {line}")?;
        }
    }
    let hidden = report.failures.len().saturating_sub(MAX_LISTED);
    if hidden > 0 {
        writeln!(out, "... and {} more (--json lists all)", grouped(hidden))?;
    }
    let failed = report.failures.len();
    let style = if failed == 0 { GOOD } else { BAD };
    let (passed, skipped) = (grouped(report.passed), grouped(report.skipped));
    write!(out, "{style}{passed} passed, {} failed, {skipped} skipped{style:#}", grouped(failed))?;
    if report.not_run > 0 {
        write!(out, "{WORD}, {} not run{WORD:#}", grouped(report.not_run))?;
    }
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

fn print_json(report: &Report) -> Result<()> {
    let failure = |f: &Failure| json!({ "id": f.id, "spec": f.spec, "what": f.what });
    let json = json!({
        "passed": report.passed,
        "failed": report.failures.len(),
        "skipped": report.skipped,
        "not_run": report.not_run,
        "failures": report.failures.iter().map(failure).collect::<Vec<_>>(),
    });
    let mut out = output::stdout();
    writeln!(out, "{json}")?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_vectors_says_where_it_looked() {
        let error = find(Path::new("/nowhere/at/all")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/at/all/test-vectors, /nowhere/at/test-vectors"), "{error}");
    }
}
