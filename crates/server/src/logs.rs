//! Log lines: for people or for machines, on standard error.

use core::fmt;
use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Bytes of a peer's text that a log shows (SEC-6).
const SHOWN: usize = 256;

/// Text from a peer, so that it can neither break a line nor speak to a terminal.
//= SEC-6
pub(crate) struct Hostile<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hostile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..SHOWN).unwrap_or(self.0);
        for chunk in shown.utf8_chunks() {
            write!(f, "{}", chunk.valid().escape_debug())?;
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        if shown.len() < self.0.len() { f.write_str("...") } else { Ok(()) }
    }
}

/// Whether that says what is to be logged.
pub(crate) fn check(filter: &str) -> Result<(), String> {
    match EnvFilter::builder().parse(filter) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{error}; write error, warn, info, debug or trace, or module=level")),
    }
}

/// Begins to log. Nothing happens if something else in this process already does.
pub(crate) fn start(filter: &str, format: LogFormat) {
    let filter = EnvFilter::builder().parse_lossy(filter);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    //= SEC-6 test
    #[test]
    fn hostile_text_is_escaped_and_cut() {
        let shown = |bytes: &[u8]| Hostile(bytes).to_string();
        assert_eq!(shown(b"a\n\x1b[31mb\xFF"), r"a\n\u{1b}[31mb\xff");
        assert_eq!(shown(&[b'a'; 300]).len(), 259);
    }
}
