//! The rules of SPEC.md, to be quoted in errors.

use blazedb_relay_conformance::spec::requirements;

const SPEC: &str = include_str!("../../../SPEC.md");

/// The sentence of the rule with that id.
pub(crate) fn sentence(id: &str) -> Option<String> {
    requirements(SPEC).into_iter().find(|rule| rule.id == id).map(|rule| rule.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_found_by_their_id() {
        assert!(sentence("VAL-4").is_some_and(|text| text.starts_with("An int from 0 to 255 MUST")));
        assert_eq!(sentence("VAL-4000"), None);
    }
}
