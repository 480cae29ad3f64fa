//! What the holder of a certificate may ask of the KMS.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A role. Each certificate has one; none of them includes another without saying so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// All that an operator may, keys that come from outside, and who holds which certificate; but never the bytes of a key.
    Admin,
    /// The day's work: groups, keys, rotation, snapshots, quiesce, status. No keys from outside, nothing that cannot be undone.
    Operator,
    /// Sees everything but the bytes of a key, and changes nothing.
    Auditor,
    /// Keys for the volumes of its groups, nothing else.
    MediaServer,
}

impl Role {
    /// Every role, the mightiest first.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Operator, Self::Auditor, Self::MediaServer];

    /// The role's name in certificates, messages and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::MediaServer => "media-server",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_one_name_everywhere() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        assert_eq!(Role::from_name("Admin"), None);
    }
}
