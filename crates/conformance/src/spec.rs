//! SPEC.md as data: its requirements and its registry tables.

use std::path::PathBuf;

/// The folder of the repository.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The text of SPEC.md.
///
/// # Errors
/// If it cannot be read.
pub fn text() -> std::io::Result<String> {
    std::fs::read_to_string(root().join("SPEC.md"))
}

/// One normative sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Its id, as `VAL-3`.
    pub id: String,
    /// Its text, on one line.
    pub text: String,
}

impl Requirement {
    /// The family, as `VAL`.
    #[must_use]
    pub fn family(&self) -> &str {
        self.id.split('-').next().unwrap_or_default()
    }

    /// Its number within the family.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.id.split('-').nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// Whether it says MUST.
    #[must_use]
    pub fn is_must(&self) -> bool {
        self.text.contains("MUST")
    }
}

/// Paragraphs and list items of the text outside code blocks and tables, each on one line.
#[must_use]
pub fn paragraphs(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut current = String::new();
    let mut code = false;
    let mut flush = |current: &mut String| {
        if !current.is_empty() {
            all.push(core::mem::take(current));
        }
    };
    for line in text.lines() {
        if line.starts_with("```") {
            code = !code;
            flush(&mut current);
        } else if code {
        } else if line.trim().is_empty() || line.starts_with(['|', '#', '<']) {
            flush(&mut current);
        } else {
            if line.starts_with("- ") {
                flush(&mut current);
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(line.trim());
        }
    }
    flush(&mut current);
    all
}

/// Every requirement in the order of the text.
#[must_use]
pub fn requirements(text: &str) -> Vec<Requirement> {
    paragraphs(text)
        .into_iter()
        .filter_map(|paragraph| {
            let (id, rest) = paragraph.strip_prefix("- **[")?.split_once("]**")?;
            Some(Requirement { id: id.into(), text: rest.trim().into() })
        })
        .collect()
}

/// The rows of a registry table, without its head; cells without backticks.
#[must_use]
pub fn table(text: &str, name: &str) -> Vec<Vec<String>> {
    let begin = format!("<!-- registry:{name} -->");
    let end = format!("<!-- /registry:{name} -->");
    let inside = text.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end)).map_or("", |(t, _)| t);
    inside
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect())
        .collect()
}
