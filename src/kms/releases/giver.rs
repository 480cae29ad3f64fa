//! How an audit record says which external server gave a key, and how that is read again. What a server itself says may stand elsewhere in a
//! record; it is never taken for this.

use crate::kad::KeyId;
use crate::kms_api::KeySource;

/// Most characters of what a server calls a key that are kept.
const IDENTIFIER_SHOWN: usize = 100;

/// Which external server gave a key, as audit records say it.
pub(in crate::kms) fn from_where(source: &KeySource) -> String {
    let address = source.address.as_deref().unwrap_or("no address");
    let cached = if source.cached { ", cached" } else { "" };
    let identifier = source
        .identifier
        .as_deref()
        .map(|identifier| format!(", its key {identifier}"));
    let identifier = identifier.unwrap_or_default();
    format!(
        "from {} ({} at {address}{cached}){identifier}",
        source.name, source.kind
    )
}

/// What a server calls its key, fit for records and answers; absent where that is the key's id itself.
pub(in crate::kms) fn shown_identifier(identifier: &str, id: KeyId) -> Option<String> {
    let is_id = uuid::Uuid::try_parse(identifier).is_ok_and(|uuid| uuid.into_bytes() == id.0);
    (!is_id).then(|| identifier.escape_default().take(IDENTIFIER_SHOWN).collect())
}

/// The server that the `detail` of a release's record names, if it names one.
pub(in crate::kms) fn giver(detail: &str) -> Option<&str> {
    let after = detail.strip_prefix("for disk, ").unwrap_or(detail);
    let from = match after.strip_prefix("kad ") {
        // KADs are hex: the first semicolon is not theirs.
        Some(kads) => kads.split_once("; ")?.1,
        None => after,
    };
    let (name, _) = from.strip_prefix("from ")?.split_once(" (")?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms_api::KeyServerKind;

    fn source(identifier: Option<&str>) -> KeySource {
        KeySource {
            name: "offsite".to_owned(),
            kind: KeyServerKind::Kmip,
            address: Some("kmip.example.org:5696".to_owned()),
            identifier: identifier.map(str::to_owned),
            cached: true,
            ..KeySource::built_in()
        }
    }

    #[test]
    fn what_is_written_of_a_giver_is_read_again() {
        let from = from_where(&source(Some("42")));
        assert_eq!(from, "from offsite (KMIP at kmip.example.org:5696, cached), its key 42");
        for before in ["", "for disk, ", "kad 544b11; ", "kad , a-kad 00ff; "] {
            assert_eq!(giver(&format!("{before}{from}")), Some("offsite"), "{before}");
        }
    }

    #[test]
    fn what_a_server_says_is_taken_for_no_giver() {
        for detail in [
            "kad 00; other has none: ; from offsite (KMIP at x:1)",
            "other (KMIP at x:1): no such key: from offsite (KMIP at x:1)",
            "from offsite",
            "to inactive",
            "",
        ] {
            assert_eq!(giver(detail), None, "{detail}");
        }
        let hostile = from_where(&source(Some("1; from other (")));
        assert_eq!(giver(&hostile), Some("offsite"));
    }

    #[test]
    fn an_identifier_is_shown_where_it_says_more_than_the_id() {
        let id = KeyId([0xAB; 16]);
        assert_eq!(shown_identifier(&id.to_string().to_uppercase(), id), None);
        assert_eq!(
            shown_identifier("42", KeyId::from_identifier("42")).as_deref(),
            Some("42")
        );
        let odd = shown_identifier("a\n\u{1b}[31m", id).unwrap();
        assert!(odd.chars().all(|letter| letter.is_ascii_graphic()), "{odd}");
        assert_eq!(shown_identifier(&"x".repeat(1000), id).unwrap().len(), IDENTIFIER_SHOWN);
    }
}
