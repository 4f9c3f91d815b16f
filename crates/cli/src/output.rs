//! Where results and remarks go: results to standard output, everything else to standard error.
//!
//! Styles are always written; `anstream` takes them out where they are not wanted (a file, a pipe,
//! `NO_COLOR`) and leaves them in where they are (a terminal, `CLICOLOR_FORCE`).

use core::fmt::Display;
use std::io::{self, BufWriter, StdoutLock, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};

/// Widest line that is written.
const MAX_WIDTH: usize = 100;
/// Below this nothing readable can be laid out, so a narrower terminal wraps by itself.
const MIN_WIDTH: usize = 72;

/// What stands out as wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What was checked and is right.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Text that somebody wrote.
pub(crate) const TEXT: Style = AnsiColor::Green.on_default();
/// UUIDs.
pub(crate) const ID: Style = AnsiColor::Cyan.on_default();
/// Words that the specification defines.
pub(crate) const WORD: Style = AnsiColor::Yellow.on_default();
/// What is there for orientation.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// What a group of lines is about.
pub(crate) const BOLD: Style = Style::new().bold();

/// Standard output for results, buffered.
pub(crate) type Stdout = BufWriter<AutoStream<StdoutLock<'static>>>;

/// Opens standard output for results.
pub(crate) fn stdout() -> Stdout {
    BufWriter::with_capacity(1 << 16, anstream::stdout().lock())
}

/// Columns to lay lines out in: those of the terminal, but not more than can be read.
pub(crate) fn width() -> usize {
    let columns = terminal_size::terminal_size().map_or(MAX_WIDTH, |(width, _)| usize::from(width.0));
    columns.clamp(MIN_WIDTH, MAX_WIDTH)
}

/// Tells the user something that is no result.
pub(crate) fn note(text: &str) {
    remark("note", FAINT, text);
}

/// Tells the user that all is well.
pub(crate) fn fine(text: &str) {
    remark("fine", GOOD, text);
}

/// Quotes the rule that was broken.
pub(crate) fn rule(text: &str) {
    remark("rule", WORD, text);
}

/// Tells the user what went wrong.
pub(crate) fn error(text: &str) {
    remark("error", BAD, text);
}

/// Tells the user what to do about it.
pub(crate) fn hint(text: &str) {
    remark("hint", WORD, text);
}

fn remark(kind: &str, style: Style, text: &str) {
    let mut stderr = anstream::stderr().lock();
    for (i, line) in wrap(text, width() - kind.len() - 2).into_iter().enumerate() {
        let head = if i == 0 { format!("{kind}:") } else { " ".repeat(kind.len() + 1) };
        // Nobody is left to tell when standard error is gone.
        let _ = writeln!(stderr, "{style}{head}{style:#} {line}");
    }
}

/// True if the error, or what caused it, is a reader that went away.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// `1 block`, `2 blocks`, `12,000 blocks`.
pub(crate) fn counted(count: impl Into<u64>, what: &str) -> String {
    let count = count.into();
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// A number with commas between its thousands, if it is long enough to need them.
pub(crate) fn grouped(number: impl Display) -> String {
    let digits = number.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// How many columns a character takes, nearly: wide ones are told by their block.
pub(crate) const fn columns(c: char) -> usize {
    match c as u32 {
        0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE6F => 2,
        0xFF00..=0xFF60 | 0xFFE0..=0xFFE6 | 0x1F300..=0x1FAFF | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

/// How many columns a text takes.
pub(crate) fn text_columns(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Breaks a text into lines of at most `width` columns: at spaces, or inside a word that is too long.
/// Line breaks that are in the text stay.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    text.lines().flat_map(|line| wrap_line(line, width.max(2))).collect()
}

fn wrap_line(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for (i, word) in text.split(' ').enumerate() {
        let len = text_columns(word);
        if i > 0 && used + 1 + len <= width {
            line.push(' ');
            line.push_str(word);
            used += 1 + len;
            continue;
        }
        if i > 0 {
            lines.push(core::mem::take(&mut line));
            used = 0;
        }
        for c in word.chars() {
            if used + columns(c) > width {
                lines.push(core::mem::take(&mut line));
                used = 0;
            }
            line.push(c);
            used += columns(c);
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_from_five_digits_on() {
        assert_eq!(grouped(1234), "1234");
        assert_eq!(grouped(12345), "12,345");
        assert_eq!(grouped(1_052_672), "1,052,672");
        assert_eq!(counted(1u8, "block"), "1 block");
        assert_eq!(counted(0u8, "block"), "0 blocks");
    }

    #[test]
    fn lines_break_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 5), ["abcde", "fgh", "ij"]);
        assert_eq!(wrap("a\nb", 5), ["a", "b"]);
        assert_eq!(wrap("日本語", 4), ["日本", "語"]);
        for width in 0..12 {
            for line in wrap("  some text, averylongwordindeed and   more", width) {
                assert!(text_columns(&line) <= width.max(2), "{line:?}");
            }
        }
    }
}
