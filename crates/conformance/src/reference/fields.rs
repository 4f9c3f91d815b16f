//! A set of fields (4.2) and the stand-alone record (4.3).

use serde_json::{Value as Json, json};

use super::crc32::crc32;
use super::reader::{Reader, Zero, ascending};
use super::value::{self, Around};
use super::{Fault, Place, fail};

/// The most bytes of a record.
const MAX_RECORD: usize = 983_040;

/// The names that have a byte, from `01`.
const COMMON_NAMES: [&str; 58] = [
    "id",
    "createdAt",
    "updatedAt",
    "userId",
    "teamId",
    "title",
    "description",
    "status",
    "priority",
    "assignedTo",
    "tags",
    "completedAt",
    "dueDate",
    "startDate",
    "category",
    "name",
    "email",
    "password",
    "username",
    "firstName",
    "lastName",
    "age",
    "phone",
    "address",
    "city",
    "state",
    "zip",
    "country",
    "organizationId",
    "projectId",
    "taskId",
    "bugId",
    "issueId",
    "commentId",
    "attachmentId",
    "versionId",
    "parentId",
    "childIds",
    "metadata",
    "config",
    "settings",
    "preferences",
    "type",
    "kind",
    "label",
    "value",
    "count",
    "total",
    "sum",
    "average",
    "min",
    "max",
    "isActive",
    "isDeleted",
    "isPublic",
    "isPrivate",
    "isArchived",
    "isFavorite",
];

/// `count` fields.
pub(super) fn read(
    reader: &mut Reader<'_>,
    count: u16,
    place: Place,
    around: &Around,
) -> Result<Vec<Json>, Fault> {
    let mut fields = Vec::new();
    let mut before = None;
    for _ in 0..count {
        let at = reader.at();
        let name = name(reader)?;
        ascending(before, name, at)?; // VAL-19
        before = Some(name);
        fields.push(json!([name, value::read(reader, place, around)?]));
    }
    Ok(fields)
}

/// The key of a field.
fn name<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Fault> {
    let at = reader.at();
    let key = reader.u8()?;
    if key == 0xFF {
        let name = reader.text(2, 255, Zero::Forbidden)?.text; // VAL-18
        if COMMON_NAMES.contains(&name) {
            return fail("NON_CANONICAL", at); // VAL-17
        }
        return Ok(name);
    }
    match usize::from(key).checked_sub(1).and_then(|index| COMMON_NAMES.get(index)) {
        Some(name) => Ok(name),
        None => fail("UNKNOWN_KEY", at), // VAL-16
    }
}

/// A stand-alone record.
pub(super) fn record(input: &[u8]) -> Result<Json, Fault> {
    if input.len() > MAX_RECORD {
        return fail("TOO_LONG", 0); // VAL-23
    }
    let mut reader = Reader::new(input);
    if reader.take(5)? != b"BLAZE" {
        return fail("BAD_MAGIC", 0); // VAL-20
    }
    let at = reader.at();
    let version = reader.u8()?;
    if version != 1 && version != 2 {
        return fail("UNSUPPORTED_VERSION", at); // VAL-21
    }
    if version == 2 {
        // VAL-22
        if input.len() < 12 {
            return fail("TRUNCATED", 6);
        }
        let (covered, checksum) = input.split_at(input.len() - 4);
        if crc32(covered).to_be_bytes() != checksum {
            return fail("BAD_CHECKSUM", covered.len());
        }
        reader.shorten(4);
    }
    let count = reader.u16()?;
    let fields = read(&mut reader, count, Place::Plain, &Around::NOTHING)?; // VAL-24
    reader.finish()?;
    Ok(json!({ "version": version.to_string(), "fields": fields }))
}
