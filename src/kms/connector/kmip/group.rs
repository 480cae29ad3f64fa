//! Which attribute of a key holds its group's name, and what a server makes of a search by it. What a server does not say is found out by
//! asking for a group that cannot exist: servers ignore filters silently, refuse custom attributes, or do neither.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::PoisonError;

use sha2::{Digest, Sha256};

use super::Inner;
use super::attribute::{Attribute, KeyAttributes, X_KEYGROUP, X_KEYGROUP_CAPITAL};
use super::error::{KmipError, Trouble, shown};
use super::question::Search;
use super::reason::{Failure, Meaning};
use crate::kms_api::{self, GroupName};

/// The attribute that holds a key group's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupAttribute {
    /// The custom attribute `x-keygroup`; `x-keyGroup` is read too.
    XKeygroup,
    /// Object Group.
    ObjectGroup,
    /// Application Specific Information with the namespace `x-keygroup`.
    ApplicationSpecificInformation,
}

impl From<GroupAttribute> for kms_api::GroupAttribute {
    fn from(attribute: GroupAttribute) -> Self {
        match attribute {
            GroupAttribute::XKeygroup => Self::XKeygroup,
            GroupAttribute::ObjectGroup => Self::ObjectGroup,
            GroupAttribute::ApplicationSpecificInformation => Self::Asi,
        }
    }
}

impl GroupAttribute {
    /// The one that is configured; `None`: to be found out by asking.
    pub(in crate::kms) fn configured(attribute: kms_api::GroupAttribute) -> Option<Self> {
        match attribute {
            kms_api::GroupAttribute::Auto => None,
            kms_api::GroupAttribute::XKeygroup => Some(Self::XKeygroup),
            kms_api::GroupAttribute::ObjectGroup => Some(Self::ObjectGroup),
            kms_api::GroupAttribute::Asi => Some(Self::ApplicationSpecificInformation),
        }
    }
}

impl GroupAttribute {
    /// All of them; where several name a group, the first counts.
    pub const ALL: [Self; 3] = [Self::XKeygroup, Self::ApplicationSpecificInformation, Self::ObjectGroup];

    /// The attributes that say "of this group", as it may be spelt.
    pub(super) fn filters(self, group: &str) -> Vec<Attribute> {
        let custom = |name| Attribute::Custom {
            name,
            value: group.to_owned(),
        };
        match self {
            Self::XKeygroup => vec![custom(X_KEYGROUP), custom(X_KEYGROUP_CAPITAL)],
            Self::ObjectGroup => vec![Attribute::ObjectGroup(group.to_owned())],
            Self::ApplicationSpecificInformation => vec![Attribute::ApplicationSpecificInformation {
                namespace: X_KEYGROUP,
                data: group.to_owned(),
            }],
        }
    }
}

impl fmt::Display for GroupAttribute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::XKeygroup => "x-keygroup",
            Self::ObjectGroup => "object-group",
            Self::ApplicationSpecificInformation => "asi",
        })
    }
}

impl FromStr for GroupAttribute {
    type Err = KmipError;

    fn from_str(text: &str) -> Result<Self, KmipError> {
        let found = Self::ALL.into_iter().find(|attribute| attribute.to_string() == text);
        found.ok_or_else(|| KmipError::BadGroupAttribute { shown: shown(text) })
    }
}

/// What a server does with a search by `x-keygroup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filtering {
    /// It finds nothing for a group that does not exist, though there are keys.
    Works,
    /// It finds nothing, and there are no keys: nothing can be said.
    Unproven,
    /// It finds keys of other groups.
    Ignored,
    /// It knows no such attribute.
    Unsupported,
}

/// The groups that a key is in: by the configured attribute, if it has that one; else by the first that it has.
pub(super) fn groups_of(attributes: &KeyAttributes, configured: Option<GroupAttribute>) -> &[String] {
    configured
        .into_iter()
        .chain(GroupAttribute::ALL)
        .map(|attribute| attributes.groups(attribute))
        .find(|groups| !groups.is_empty())
        .unwrap_or_default()
}

/// The groups for tape that a key is in.
pub(super) fn tape_groups(attributes: &KeyAttributes, configured: Option<GroupAttribute>) -> BTreeSet<GroupName> {
    let names = groups_of(attributes, configured).iter();
    names
        .filter_map(|name| GroupName::new(name.clone()).ok())
        .filter(GroupName::is_for_tape)
        .collect()
}

/// The one group that a key counts as being in: the first that is for tape, else the first that is a name at all.
pub(super) fn group_of(attributes: &KeyAttributes, configured: Option<GroupAttribute>) -> Option<GroupName> {
    let names = groups_of(attributes, configured);
    let mut names: Vec<_> = names
        .iter()
        .filter_map(|name| GroupName::new(name.clone()).ok())
        .collect();
    names.sort_by_key(|name| !name.is_for_tape());
    names.into_iter().next()
}

/// Whether a search may have failed because the server does not know a custom attribute. Servers say that in many ways.
pub(super) fn may_be_the_attribute(failure: &Failure) -> bool {
    // Invalid Message is said of a vendor that is not known, too; of a version only as long as it is not agreed on.
    matches!(
        failure.meaning(),
        Meaning::Unsupported | Meaning::Other | Meaning::Version
    )
}

impl Inner {
    /// The searches that find keys of `group`, in the order in which they are made.
    pub(super) fn searches(&self, filtering: Filtering, group: &str) -> Vec<Attribute> {
        let of = |attributes: &[GroupAttribute]| attributes.iter().flat_map(|one| one.filters(group)).collect();
        match (self.group_attribute, filtering) {
            (Some(attribute), _) => of(&[attribute]),
            (None, Filtering::Works | Filtering::Unproven) => of(&GroupAttribute::ALL),
            // Every search by a custom attribute finds everything, so one is enough.
            (None, Filtering::Ignored) => GroupAttribute::XKeygroup.filters(group).into_iter().take(1).collect(),
            (None, Filtering::Unsupported) => of(&[
                GroupAttribute::ApplicationSpecificInformation,
                GroupAttribute::ObjectGroup,
            ]),
        }
    }

    /// Whether keys may have the custom attribute and no search by it finds them: from 2.0 on it is searched for under one vendor, and some
    /// servers keep it under their own.
    pub(super) async fn may_miss_a_vendor(&self, filtering: Filtering) -> Result<bool, Trouble> {
        let by_custom_attribute = self.group_attribute.is_none_or(|one| one == GroupAttribute::XKeygroup);
        let has_vendors = self.version().await?.has_tagged_attributes();
        Ok(has_vendors && by_custom_attribute && filtering != Filtering::Ignored)
    }

    /// How the server filters, asked once unless nothing could be said. With a configured attribute nobody needs to know.
    pub(super) async fn filtering(&self) -> Result<Filtering, Trouble> {
        match self.known_filtering() {
            Some(known) => Ok(known),
            None => self.filtering_anew().await,
        }
    }

    /// How the server filters, if nobody needs to ask for that.
    pub(super) fn known_filtering(&self) -> Option<Filtering> {
        match self.group_attribute {
            Some(_) => Some(Filtering::Unproven),
            None => *self.filtering.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// How the server filters now.
    pub(super) async fn filtering_anew(&self) -> Result<Filtering, Trouble> {
        let found = self.probe().await?;
        self.note_filtering(found);
        Ok(found)
    }

    fn note_filtering(&self, found: Filtering) {
        let known = (found != Filtering::Unproven).then_some(found);
        *self.filtering.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// How a server filters that was known to do `before` and has just failed. If it was seen to know the attribute, a failure is no proof that it
    /// does not: nothing is concluded then, since what only the attribute finds would be called missing.
    pub(super) async fn filtering_after_a_failure(&self, before: Filtering) -> Result<Filtering, Trouble> {
        let found = self.probe().await?;
        if found == Filtering::Unsupported && matches!(before, Filtering::Works | Filtering::Ignored) {
            return Ok(before);
        }
        self.note_filtering(found);
        Ok(found)
    }

    pub(super) fn forget_filtering(&self) {
        *self.filtering.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Asks for a group that cannot exist.
    pub(super) async fn probe(&self) -> Result<Filtering, Trouble> {
        let nobody = self.unused_name();
        let ask = |attribute: GroupAttribute| self.finds_any(attribute.filters(&nobody).into_iter().take(1).collect());
        match ask(GroupAttribute::XKeygroup).await {
            Ok(true) => Ok(Filtering::Ignored),
            Ok(false) => Ok(match self.finds_any(vec![Attribute::ObjectType]).await? {
                true => Filtering::Works,
                false => Filtering::Unproven,
            }),
            Err(Trouble::Failed(failure)) if may_be_the_attribute(&failure) => {
                // It may be the attribute, or the server's bad day: then a plain search fails too, or the next try does not.
                self.finds_any(vec![Attribute::ObjectType]).await?;
                match ask(GroupAttribute::XKeygroup).await {
                    Err(Trouble::Failed(again)) if may_be_the_attribute(&again) => Ok(Filtering::Unsupported),
                    Err(trouble) => Err(trouble),
                    Ok(_) => Err(failure.into()),
                }
            }
            Err(trouble) => Err(trouble),
        }
    }

    pub(super) async fn finds_any(&self, attributes: Vec<Attribute>) -> Result<bool, Trouble> {
        let search = Search {
            attributes,
            offset: 0,
            maximum: Some(1),
        };
        Ok(!self.locate(&search).await?.identifiers.is_empty())
    }

    /// A name that no group has: it follows from the time and a count, and is not secret.
    fn unused_name(&self) -> String {
        let mut digest = Sha256::new_with_prefix(b"tapekey probe");
        digest.update(self.identity.name.as_str());
        digest.update(self.clock.now().unix_timestamp_nanos().to_be_bytes());
        digest.update(self.clock.monotonic().as_nanos().to_be_bytes());
        digest.update(
            self.probes
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
                .to_be_bytes(),
        );
        let digest: [u8; 32] = digest.finalize().into();
        format!("tapekey-probe-{}", hex::encode(digest))
    }
}
