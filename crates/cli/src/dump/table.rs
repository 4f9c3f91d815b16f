//! The explanation as columns: offset, bytes, field, meaning.

use std::io::{self, Write};

use anstyle::Style;

use super::{Kind, Line};
use crate::output::{BAD, BOLD, FAINT, columns, grouped, text_columns, wrap};

/// Bytes in one row. The first row has room for one more, so that a tag stands before its eight bytes.
const ROW: usize = 8;
/// Columns that they take.
const BYTES: usize = ROW * 3 + 2;
/// Rows of a long field that are shown unless all are asked for.
const MAX_ROWS: usize = 8;

/// Lays lines out in columns.
pub(crate) struct Table<W> {
    out: W,
    offset: usize,
    name: usize,
    meaning: usize,
    full: bool,
}

impl<W: Write> Table<W> {
    /// A table of `width` columns for an input of `len` bytes. `full` shows all bytes of long fields.
    pub(crate) fn new(out: W, width: usize, len: usize, full: bool) -> Self {
        let offset = len.to_string().len().max(4) + 2;
        let text = width.saturating_sub(offset + BYTES + 3 * 2);
        let name = (text * 2 / 5).clamp(16, 28);
        Self { out, offset, name, meaning: text.saturating_sub(name).max(16), full }
    }

    /// Writes the names of the columns.
    pub(crate) fn head(&mut self) -> io::Result<()> {
        let (offset, name) = (self.offset, self.name);
        writeln!(
            self.out,
            "{FAINT}{:>offset$}  {:BYTES$}  {:name$}  meaning{FAINT:#}",
            "offset", "bytes", "field"
        )
    }

    /// Writes one line, in as many rows as it takes.
    pub(crate) fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        let mut bytes = self.byte_rows(line);
        let mut names = self.name_rows(line).into_iter();
        let mut meanings: Vec<(String, Style)> = wrap(&line.meaning.text, self.meaning)
            .into_iter()
            .map(|text| (text, line.meaning.style))
            .collect();
        let (mark, begins) = match line.kind {
            Kind::Faulty { begins } => (">", begins),
            Kind::Field | Kind::Heading => (" ", None),
        };
        if let Some((_, code)) = begins {
            meanings.push((format!("^ {code}"), BAD));
        }
        let mut meanings = meanings.into_iter();
        let style = if line.kind == Kind::Heading { BOLD } else { Style::new() };
        let width = self.offset - 1;
        let mut first = true;
        loop {
            let row = (bytes.next(), names.next(), meanings.next());
            if let (None, None, None) = row {
                return Ok(());
            }
            let (bytes, name, meaning) = row;
            let offset = match (first && line.kind != Kind::Heading, line.inflated) {
                (true, false) => line.offset.to_string(),
                (true, true) => format!("+{}", line.offset),
                _ => String::new(),
            };
            let mark = if first { mark } else { " " };
            first = false;
            let (bytes, used) = bytes.unwrap_or_default();
            let name = name.unwrap_or_default();
            let (meaning, meaning_style) = meaning.unwrap_or_default();
            let left = pad(BYTES, used, meaning.len() + name.len());
            let right = pad(self.name, text_columns(&name), meaning.len());
            let (gap, late) = (if left.is_empty() && name.is_empty() { "" } else { "  " }, "  ");
            let late = if meaning.is_empty() { "" } else { late };
            writeln!(
                self.out,
                "{BAD}{mark}{BAD:#}{FAINT}{offset:>width$}{FAINT:#}  {bytes}{left}{gap}\
                 {style}{name}{style:#}{right}{late}{meaning_style}{meaning}{meaning_style:#}"
            )?;
        }
    }

    /// The bytes in rows, styled, each with the columns that it takes.
    fn byte_rows<'l>(&self, line: &'l Line<'_>) -> impl Iterator<Item = (String, usize)> + use<'l, W> {
        let begins = match line.kind {
            Kind::Faulty { begins: Some((at, _)) } => at,
            Kind::Faulty { begins: None } => 0,
            Kind::Field | Kind::Heading => usize::MAX,
        };
        let first = if line.bytes.len() % ROW == 1 { ROW + 1 } else { ROW };
        let (first, rest) = line.bytes.split_at(first.min(line.bytes.len()));
        let rows = 1 + rest.len().div_ceil(ROW);
        let shown = if self.full || rows <= MAX_ROWS { rows } else { MAX_ROWS - 1 };
        let hidden = rest.len().saturating_sub((shown - 1) * ROW);
        let more = (hidden > 0).then(|| {
            let text = format!("... {} more", grouped(hidden));
            let columns = text.len();
            (format!("{FAINT}{text}{FAINT:#}"), columns)
        });
        let mut at = 0;
        let row = move |row: &[u8]| {
            let mut text = String::new();
            for (i, byte) in row.iter().enumerate() {
                let space = if i == 0 { "" } else { " " };
                if at >= begins {
                    text.push_str(&format!("{space}{BAD}{byte:02x}{BAD:#}"));
                } else {
                    text.push_str(&format!("{space}{byte:02x}"));
                }
                at += 1;
            }
            (text, (row.len() * 3).saturating_sub(1))
        };
        let first = Some(first).filter(|first| !first.is_empty());
        first.into_iter().chain(rest.chunks(ROW)).take(shown).map(row).chain(more)
    }

    /// The name, indented; its later rows are indented a little more.
    fn name_rows(&self, line: &Line<'_>) -> Vec<String> {
        // However deep it is, some room is left for the name.
        let indent = (line.depth * 2).min(self.name - 10);
        wrap(&line.name, self.name - indent - 1)
            .into_iter()
            .enumerate()
            .map(|(i, row)| format!("{:1$}{row}", "", indent + usize::from(i > 0)))
            .collect()
    }
}

/// Spaces after what takes `used` of `width` columns, unless nothing follows it.
fn pad(width: usize, used: usize, follows: usize) -> String {
    if follows == 0 { String::new() } else { " ".repeat(width.saturating_sub(used) * columns(' ')) }
}
