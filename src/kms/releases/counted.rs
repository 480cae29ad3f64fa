//! Which audit events are releases of keys, and of what.

use sha2::{Digest, Sha256};

/// A release of keys for one volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kms) struct Release {
    /// To whom: the certificate's subject.
    pub(in crate::kms) subject: String,
    /// What stands for the volume, so that a name of any length takes no more room.
    pub(in crate::kms) volume: [u8; 16],
}

/// The release that an audit record or event of these fields is, if keys left with it.
///
/// For a backup the volume is the name that was given, with the group's key. For a restore it is the KAD: names are the asker's words, and a
/// thief would give the same one for every tape.
pub(in crate::kms) fn release_of(
    subject: &str,
    action: &str,
    outcome: &str,
    (key_id, volume, detail): (Option<&str>, Option<&str>, Option<&str>),
) -> Option<Release> {
    if !outcome.starts_with("done") {
        return None;
    }
    let (first, second) = match action {
        "backup_key" => (key_id, volume),
        "restore_keys" => (None, detail),
        _ => return None,
    };
    let text = [action, first.unwrap_or_default(), second.unwrap_or_default()].join("\n");
    let digest = Sha256::digest(text);
    let mut volume = [0; 16];
    volume.iter_mut().zip(digest).for_each(|(byte, from)| *byte = from);
    Some(Release {
        subject: subject.to_owned(),
        volume,
    })
}
