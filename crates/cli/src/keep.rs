//! `backup`, `restore` and `verify`: keeping what a relay has.

use core::time::Duration;
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use blazedb_relay::message::RestoreMode;
use blazedb_relay::wire::DatabaseName;
use blazedb_relay_server::config::{Config, Flags};
use blazedb_relay_server::store::{Error, ErrorKind, Progress, SqliteStore, Verified};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value as Json, json};

use crate::Outcome;
use crate::args::{Backup, Folder, Restore, Verify};
use crate::output::{self, BAD, GOOD, counted, grouped};

/// How often a bar moves by itself while nothing is told: often enough to look alive.
const TICK: Duration = Duration::from_millis(120);

/// Copies databases, each as it is at one moment.
pub(crate) fn backup(args: &Backup) -> Result<Outcome> {
    let data = args.folder.data()?;
    let names = match &*args.databases {
        [] => all(&data)?,
        names => names.iter().map(|name| database(name)).collect::<Result<_>>()?,
    };
    fs::create_dir_all(&args.to).with_context(|| format!("{} cannot be made", args.to.display()))?;
    each(names, args.json, |name| {
        let file = SqliteStore::file_in(&data, name);
        let to = SqliteStore::file_in(&args.to, name);
        let bar = Bar::new(format!("copying {}", name.as_str()), Work::Copy);
        SqliteStore::backup(&file, &to, &mut |progress| bar.show(progress)).map_err(Failure::of)?;
        drop(bar);
        let bytes = fs::metadata(&to).map_or(0, |file| file.len());
        let told = format!("{}: {} in {}", name.as_str(), size(bytes), to.display());
        Ok(Done { told, json: json!({ "file": to, "bytes": bytes }), problems: Vec::new() })
    })
}

/// Puts a copy in place.
pub(crate) fn restore(args: &Restore) -> Result<Outcome> {
    let data = args.folder.data()?;
    let name = match &args.name {
        Some(name) => database(name)?,
        None => {
            let file = args.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            SqliteStore::name_of(file).ok_or_else(|| {
                let file = args.file.display();
                anyhow!("{file} does not say which database it is; give its name with --as")
            })?
        }
    };
    let store = SqliteStore::new(&data).map_err(|error| {
        let in_use = error.kind() == ErrorKind::InUse;
        let more = if in_use { ". A relay has to be stopped while a database is put in place" } else { "" };
        anyhow!("{error}{more}")
    })?;
    let mode = if args.discard { RestoreMode::Discard } else { RestoreMode::Keep };
    each([name], args.json, |name| {
        let bar = Bar::new(format!("restoring {}", name.as_str()), Work::Copy);
        let restored = store.restore(&args.file, name, mode, &mut |progress| bar.show(progress));
        restored.map_err(|error| {
            if error.kind() != ErrorKind::Exists {
                return Failure::of(error);
            }
            let file = store.file(name);
            let hint = format!(
                "nothing is overwritten. Keep what is there elsewhere, with the files beside it, then try \
                 again:  mkdir old && mv {}* old/",
                file.display()
            );
            Failure::with_hint(&error, hint)
        })?;
        drop(bar);
        let (mode, effect) = match mode {
            RestoreMode::Keep => ("keep", "clients send again what they have and the copy has not"),
            RestoreMode::Discard => ("discard", "clients drop what they have and the copy has not"),
        };
        let file = store.file(name);
        let told = format!("{}: restored as {}; {effect}", name.as_str(), file.display());
        Ok(Done { told, json: json!({ "file": file, "mode": mode }), problems: Vec::new() })
    })
}

/// Checks databases, or copies of them.
pub(crate) fn verify(args: &Verify) -> Result<Outcome> {
    // A folder is not looked for if only files are named.
    let is_file = |what: &String| what.contains(['/', '\\']);
    let named = !args.what.is_empty();
    let data = if named && args.what.iter().all(is_file) { PathBuf::new() } else { args.folder.data()? };
    let places: Vec<(String, PathBuf)> = if named {
        let place = |what: &String| {
            if is_file(what) {
                return Ok((what.clone(), PathBuf::from(what)));
            }
            let name = database(what)?;
            Ok((what.clone(), SqliteStore::file_in(&data, &name)))
        };
        args.what.iter().map(place).collect::<Result<_>>()?
    } else {
        let file = |name: DatabaseName| (name.as_str().to_owned(), SqliteStore::file_in(&data, &name));
        all(&data)?.into_iter().map(file).collect()
    };
    each(places, args.json, |(what, file)| {
        let bar = Bar::new(format!("checking {what}"), Work::Check);
        let found = SqliteStore::verify(file, &mut |progress| bar.show(progress));
        drop(bar);
        match found {
            Ok(found) => Ok(verified(what, file, found)),
            // It is too damaged to go on: that is what was found.
            Err(error) if error.kind() == ErrorKind::Damaged => Ok(Done {
                told: String::new(),
                json: json!({ "file": file }),
                problems: vec![error.to_string()],
            }),
            Err(error) if error.kind() == ErrorKind::Missing && !is_file(what) => {
                let hint = format!("for a file that is not in the data folder write ./{what}");
                Err(Failure::with_hint(&error, hint))
            }
            Err(error) => Err(Failure::of(error)),
        }
    })
}

fn verified(what: &str, file: &Path, found: Verified) -> Done {
    let Verified { operations, blocks, nodes, epochs, records, state_seq, problems, .. } = found;
    let behind = operations.saturating_sub(state_seq);
    let state = match behind {
        0 => String::new(),
        _ => format!("; its state is {} behind, which the relay makes up for", counted(behind, "operation")),
    };
    let told = format!(
        "{what}: sound; {} in {}, {}, {}{state}",
        counted(operations, "operation"),
        counted(blocks, "block"),
        counted(nodes, "node"),
        counted(records, "record"),
    );
    let json = json!({
        "file": file, "operations": operations, "blocks": blocks, "nodes": nodes, "epochs": epochs,
        "records": records, "state_seq": state_seq, "problems": problems,
    });
    Done { told, json, problems }
}

/// What became of one database.
struct Done {
    /// In words, if all is well.
    told: String,
    json: Json,
    problems: Vec<String>,
}

/// Why nothing became of it.
struct Failure {
    text: String,
    hint: Option<String>,
}

impl Failure {
    #[allow(clippy::needless_pass_by_value, reason = "to be used with map_err")]
    fn of(error: Error) -> Self {
        Self { text: error.to_string(), hint: None }
    }

    fn with_hint(error: &Error, hint: String) -> Self {
        Self { text: error.to_string(), hint: Some(hint) }
    }
}

/// What a database is called in output.
trait Named {
    fn name(&self) -> &str;
}

impl Named for DatabaseName {
    fn name(&self) -> &str {
        self.as_str()
    }
}

impl Named for (String, PathBuf) {
    fn name(&self) -> &str {
        &self.0
    }
}

/// Works on one after another, whatever becomes of those before, and tells of each.
fn each<T: Named>(
    items: impl IntoIterator<Item = T>,
    as_json: bool,
    mut work: impl FnMut(&T) -> Result<Done, Failure>,
) -> Result<Outcome> {
    let (mut failed, mut bad) = (false, false);
    for item in items {
        let (ok, mut line) = match work(&item) {
            Ok(Done { told, json, problems }) => {
                if problems.is_empty() && !as_json {
                    writeln!(anstream::stdout(), "{GOOD}{told}{GOOD:#}")?;
                } else if !as_json {
                    let problem = counted(problems.len() as u64, "problem");
                    writeln!(anstream::stdout(), "{BAD}{}: {problem}{BAD:#}", item.name())?;
                    for problem in &problems {
                        writeln!(anstream::stdout(), "  {}", problem.escape_debug())?;
                    }
                }
                bad |= !problems.is_empty();
                (problems.is_empty(), json)
            }
            Err(Failure { text, hint }) => {
                output::error(&text);
                if let Some(hint) = hint {
                    output::hint(&hint);
                }
                failed = true;
                (false, json!({ "error": text }))
            }
        };
        if as_json {
            line["database"] = item.name().into();
            line["ok"] = ok.into();
            writeln!(anstream::stdout(), "{line}")?;
        }
    }
    match (failed, bad) {
        (true, _) => Ok(Outcome::Failed),
        (false, true) => Ok(Outcome::Bad),
        (false, false) => Ok(Outcome::Fine),
    }
}

fn database(name: &str) -> Result<DatabaseName> {
    DatabaseName::new(name).map_err(|_| {
        anyhow!(
            "{} is not the name of a database: those have a to z, 0 to 9, '-', '_' and '.', begin with a letter \
             or digit, and have at most 64 characters",
            name.escape_debug()
        )
    })
}

fn all(data: &Path) -> Result<Vec<DatabaseName>> {
    let names = SqliteStore::databases_in(data)?;
    if names.is_empty() {
        bail!("{} has no database; give the relay's folder with --data", data.display());
    }
    Ok(names)
}

impl Folder {
    /// The folder of the databases, as `serve` would find it.
    fn data(&self) -> Result<PathBuf> {
        if let Some(data) = &self.data {
            // What else is configured does not matter then.
            return Ok(data.clone());
        }
        let flags = Flags { config: self.config.clone(), ..Flags::default() };
        Ok(Config::load(&flags, |name| env::var_os(name))?.data)
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", grouped(bytes / 1_000)),
        _ => format!("{} MB", grouped(bytes / 1_000_000)),
    }
}

/// What a bar is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Copy,
    Check,
}

impl Work {
    /// How its progress is counted, and what comes when all is counted.
    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Copy => ("{percent}%", "{spinner} {msg}: onto the disk ({elapsed})"),
            Self::Check => {
                ("{human_pos}/{human_len} operations", "{spinner} {msg}: merged state ({elapsed})")
            }
        }
    }
}

/// How far something has come, on a terminal.
struct Bar(ProgressBar, Work);

impl Bar {
    /// A bar that is alive before it is known how much there is to do.
    fn new(what: String, work: Work) -> Self {
        let bar = Self(ProgressBar::no_length().with_message(what), work);
        bar.style("{spinner} {msg} ({elapsed})");
        bar.0.enable_steady_tick(TICK);
        bar
    }

    fn style(&self, template: &str) {
        // Templates are constants, and good.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style.progress_chars("=> "));
        }
    }

    fn show(&self, progress: Progress) {
        let Self(bar, work) = self;
        let (count, last) = work.texts();
        if bar.length() != Some(progress.total) {
            self.style(&format!("{{spinner}} {{msg}} [{{bar:30}}] {count}, {{eta}} left"));
            bar.set_length(progress.total);
        }
        bar.set_position(progress.done);
        if progress.done == progress.total {
            self.style(last);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
