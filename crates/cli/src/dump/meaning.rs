//! What fields say, in words.

use core::fmt::Display;

use anstyle::Style;
use blazedb_relay::registry::{
    Capability, Disposition, Encoding, ErrorCode, GoodbyeReason, LimitId, MessageType,
};
use blazedb_relay_conformance::meaning::hex;
use uuid::Uuid;

use crate::output::{BAD, FAINT, GOOD, ID, TEXT, WORD, counted, grouped};

/// Most characters of a text that are shown.
const MAX_TEXT: usize = 240;
/// From 1970-01-01 to 2001-01-01.
const SECONDS_TO_2001: f64 = 978_307_200.0;

/// What a field says.
#[derive(Clone, Debug)]
pub(crate) struct Meaning {
    /// The words.
    pub(crate) text: String,
    /// What kind of words.
    pub(crate) style: Style,
}

impl Meaning {
    pub(crate) fn plain(text: impl Display) -> Self {
        Self { text: text.to_string(), style: Style::new() }
    }

    pub(crate) fn bad(text: impl Display) -> Self {
        Self { text: text.to_string(), style: BAD }
    }

    pub(crate) fn good(text: impl Display) -> Self {
        Self { text: text.to_string(), style: GOOD }
    }

    pub(crate) fn faint(text: impl Display) -> Self {
        Self { text: text.to_string(), style: FAINT }
    }

    pub(crate) fn word(text: impl Display) -> Self {
        Self { text: text.to_string(), style: WORD }
    }

    /// Text that somebody wrote: quoted, and with everything escaped that could act on a terminal.
    pub(crate) fn text(bytes: &[u8]) -> Self {
        let Ok(text) = core::str::from_utf8(bytes) else {
            return Self::bad(format!("{}, not UTF-8", counted(bytes.len() as u64, "byte")));
        };
        let shown: String = text.chars().take(MAX_TEXT).collect();
        let more = if shown.len() < text.len() {
            format!("... ({} in all)", counted(text.len() as u64, "byte"))
        } else {
            String::new()
        };
        Self { text: format!("{shown:?}{more}"), style: TEXT }
    }

    /// 16 bytes.
    pub(crate) fn uuid(bytes: &[u8]) -> Self {
        let text = Uuid::from_slice(bytes).map_or_else(|_| hex(bytes), |uuid| uuid.to_string());
        let nil = if bytes.iter().all(|byte| *byte == 0) { " (nil)" } else { "" };
        Self { text: format!("{text}{nil}"), style: ID }
    }

    /// Bytes that mean nothing here.
    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        Self::plain(counted(bytes.len() as u64, "byte"))
    }

    /// A CRC-32: what stands there against what it should be.
    pub(crate) fn check(stated: u64, computed: u32) -> Self {
        if stated == u64::from(computed) {
            Self::good("CRC ok")
        } else {
            Self::bad(format!("CRC wrong, the bytes give {computed:08x}"))
        }
    }

    /// The same with words added.
    pub(crate) fn with(mut self, words: impl Display) -> Self {
        self.text.push_str(&words.to_string());
        self
    }
}

/// A name from foreign bytes, safe to print; quoted only if it is not plain.
pub(super) fn name(bytes: &[u8]) -> String {
    let quoted = Meaning::text(bytes).text;
    let plain = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte));
    if plain && !bytes.is_empty() { quoted.trim_matches('"').into() } else { quoted }
}

/// A number.
pub(super) fn plain(number: u64) -> Meaning {
    Meaning::plain(number)
}

/// A number that counts something.
pub(super) fn amount(number: u64) -> Meaning {
    Meaning::plain(grouped(number))
}

/// The count of a list.
pub(super) fn items(number: u64) -> Meaning {
    if number == 0 { Meaning::faint("none") } else { Meaning::plain(counted(number, "item")) }
}

/// The count of a list of collections.
pub(super) fn collections(number: u64) -> Meaning {
    if number == 0 { Meaning::plain("none named: all") } else { Meaning::plain(counted(number, "name")) }
}

pub(super) fn length(number: u64) -> Meaning {
    Meaning::plain(counted(number, "byte"))
}

pub(super) fn seq(number: u64) -> Meaning {
    if number == 0 { Meaning::plain("0, the start of the log") } else { plain(number) }
}

pub(super) fn wish(number: u64) -> Meaning {
    if number == 0 { Meaning::plain("0, no limit of its own") } else { amount(number) }
}

pub(super) fn window(number: u64) -> Meaning {
    if number == 0 { Meaning::plain("0, paused") } else { length(number) }
}

pub(super) fn version(number: u64) -> Meaning {
    Meaning::plain(format!("{}.{}", number >> 8, number & 0xFF))
}

pub(super) fn boolean(number: u64) -> Meaning {
    match number {
        0 => Meaning::word("false"),
        1 => Meaning::word("true"),
        _ => Meaning::bad(format!("{number} is neither 0 nor 1")),
    }
}

/// One of the words, of which the first has the number 1.
pub(super) fn one_of(number: u64, words: &[&str]) -> Meaning {
    match number.checked_sub(1).and_then(|at| words.get(usize::try_from(at).ok()?)) {
        Some(word) => Meaning::word(word),
        None => Meaning::bad(format!("{number} is not listed")),
    }
}

/// Flag bits by name, the least significant first.
pub(super) fn flags(number: u64, names: &[&str]) -> Meaning {
    let set: Vec<_> = (0..8)
        .filter(|bit| number >> bit & 1 == 1)
        .map(|bit| names.get(bit).map_or_else(|| format!("unknown bit {bit}"), |name| (*name).into()))
        .collect();
    if set.is_empty() { Meaning::faint("none") } else { Meaning::word(set.join(", ")) }
}

pub(super) fn milliseconds(number: u64) -> Meaning {
    Meaning::plain(match number {
        0 => "0".into(),
        1..1_000 => format!("{number} ms"),
        _ => format!("{} s", decimal(number)),
    })
}

pub(super) fn seconds(number: u64) -> Meaning {
    Meaning::plain(if number == 0 { "0, no end".into() } else { format!("{} s", grouped(number)) })
}

/// Thousandths without needless zeros.
fn decimal(thousandths: u64) -> String {
    let text = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').into()
}

/// Milliseconds since 1970.
pub(super) fn unix_time(number: u64) -> Meaning {
    let millis = i64::try_from(number).ok().and_then(iso8601);
    Meaning::plain(millis.unwrap_or_else(|| format!("{number} ms since 1970")))
}

/// Seconds since 2001.
pub(super) fn date(seconds: f64) -> String {
    let millis = ((seconds + SECONDS_TO_2001) * 1_000.0).round();
    // Beyond this a double does not hold milliseconds, and years do not have four digits.
    #[allow(clippy::cast_possible_truncation, reason = "checked to be far inside i64")]
    let text = (millis.abs() < 1e15).then(|| iso8601(millis as i64)).flatten();
    text.unwrap_or_else(|| format!("{seconds:?} s since 2001"))
}

/// A time in UTC, if its year has four digits.
fn iso8601(millis: i64) -> Option<String> {
    let (day, millis) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    // Days to years, months and days, by eras of 400 years that begin in March.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let of_era_year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * of_era_year + of_era_year / 4 - of_era_year / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = of_era_year + era * 400 + i64::from(month <= 2);
    let day = of_year - (153 * march + 2) / 5 + 1;
    let (seconds, millis) = (millis / 1_000, millis % 1_000);
    let fraction = if millis == 0 { String::new() } else { format!(".{millis:03}") };
    (0..=9_999).contains(&year).then(|| {
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
    })
}

fn code_point(number: u64, name: Option<&str>, unknown: &str) -> Meaning {
    match name {
        Some(name) => Meaning::word(name),
        None => Meaning::plain(format!("{number:#06x}, {unknown}")),
    }
}

fn narrow(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

pub(super) fn message_type(number: u64) -> Meaning {
    let unknown =
        if number.is_multiple_of(2) { "unknown and even: refused" } else { "unknown and odd: skipped" };
    code_point(number, MessageType(narrow(number)).name(), unknown)
}

pub(super) fn capability(number: u64) -> Meaning {
    let capability = Capability(narrow(number));
    let known = code_point(number, capability.optional().name(), "unknown");
    known.with(if capability.is_required() { " (must)" } else { " (can)" })
}

pub(super) fn limit(number: u64) -> Meaning {
    code_point(number, LimitId(narrow(number)).name(), "unknown")
}

pub(super) fn extension_type(number: u64) -> Meaning {
    let unknown =
        if number.is_multiple_of(2) { "unknown and even: refused" } else { "unknown and odd: ignored" };
    code_point(number, None, unknown)
}

pub(super) fn reason(number: u64) -> Meaning {
    code_point(number, GoodbyeReason(narrow(number)).name(), "unknown: as done")
}

pub(super) fn encoding(number: u64) -> Meaning {
    let known = u8::try_from(number).ok().and_then(|number| Encoding(number).name());
    code_point(number, known, "unknown")
}

pub(super) fn method(number: u64) -> Meaning {
    match number {
        0 => Meaning::word("none"),
        1 => Meaning::word("bearer token"),
        _ => Meaning::plain(format!("{number}, unknown")),
    }
}

pub(super) fn error_code(number: u64) -> Meaning {
    let code = ErrorCode(narrow(number));
    let Some(name) = code.name() else {
        return Meaning::plain(format!("{number}, unknown: as INTERNAL_ERROR"));
    };
    let effect = match code.disposition() {
        Disposition::Close => " (close)",
        Disposition::Reply => " (reply)",
        Disposition::Refuse => " (refuse)",
        #[allow(clippy::wildcard_enum_match_arm, reason = "dispositions may be added")]
        _ => "",
    };
    Meaning::word(format!("{number} {name}{effect}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_utc() {
        assert_eq!(date(0.0), "2001-01-01T00:00:00Z");
        assert_eq!(date(-978_307_200.0), "1970-01-01T00:00:00Z");
        assert_eq!(date(794_102_400.5), "2026-03-02T00:00:00.500Z");
        assert_eq!(date(-0.001), "2000-12-31T23:59:59.999Z");
        assert_eq!(date(5_097_599.0), "2001-02-28T23:59:59Z");
        assert_eq!(date(f64::NAN), "NaN s since 2001");
        assert_eq!(date(f64::INFINITY), "inf s since 2001");
        assert_eq!(date(1e300), "1e300 s since 2001");
        assert_eq!(date(-1e11), "-100000000000.0 s since 2001");
        assert_eq!(unix_time(951_782_400_000).text, "2000-02-29T00:00:00Z");
        assert_eq!(unix_time(u64::MAX).text, "18446744073709551615 ms since 1970");
    }

    #[test]
    fn foreign_text_cannot_act_on_a_terminal() {
        let text = Meaning::text("a\u{1b}[31m\u{202e}\r\n\"".as_bytes()).text;
        assert_eq!(text, "\"a\\u{1b}[31m\\u{202e}\\r\\n\\\"\"");
        assert_eq!(Meaning::text(&[0xFF]).text, "1 byte, not UTF-8");
        assert_eq!(name(b"\x1b"), "\"\\u{1b}\"");
        assert_eq!(name(b"title"), "title");
        assert_eq!(name(b""), "\"\"");
    }

    #[test]
    fn long_texts_are_cut() {
        let text = Meaning::text(&[b'x'; 1_000]).text;
        assert!(text.ends_with("x\"... (1000 bytes in all)"), "{text}");
    }

    #[test]
    fn numbers_read_as_what_they_are() {
        assert_eq!(milliseconds(30_500).text, "30.5 s");
        assert_eq!(milliseconds(20).text, "20 ms");
        assert_eq!(flags(3, &["LZ4", "holes"]).text, "LZ4, holes");
        assert_eq!(flags(4, &["LZ4", "holes"]).text, "unknown bit 2");
        assert_eq!(capability(0x10).text, "crdt (must)");
        assert_eq!(error_code(205).text, "205 OUT_OF_STEP (close)");
        assert_eq!(one_of(0, &["a"]).text, "0 is not listed");
        assert_eq!(one_of(u64::MAX, &["a"]).text, "18446744073709551615 is not listed");
    }
}
