//! A new key in a group: made, activated, and looked at again, since a server may drop attributes that it does not know without a word.

use super::Inner;
use super::attribute::Attribute;
use super::backup::choose;
use super::error::{Trouble, shown};
use super::group::{Filtering, GroupAttribute};
use super::names::{DECRYPT, ENCRYPT};
use super::question::Question;
use super::reason::Meaning;
use super::reply;
use crate::kms::connector::{CreatedKey, GroupName, KeyName, KeyState};

impl Inner {
    pub(super) async fn create_key(&self, group: &GroupName, name: Option<&KeyName>) -> Result<CreatedKey, Trouble> {
        let mut refused = None;
        for attribute in self.carriers().await? {
            match self.create_with(attribute, group, name).await {
                Ok(identifier) => return self.activate(identifier, (group, attribute)).await,
                Err(Trouble::Failed(failure))
                    if matches!(failure.meaning(), Meaning::Unsupported | Meaning::Version) =>
                {
                    refused = Some(failure);
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Err(match refused {
            Some(failure) => failure.into(),
            None => Trouble::Refused("no attribute can hold the group".to_owned()),
        })
    }

    /// The attributes that may hold the group's name here, to be tried one after the other.
    async fn carriers(&self) -> Result<Vec<GroupAttribute>, Trouble> {
        if let Some(attribute) = self.group_attribute {
            return Ok(vec![attribute]);
        }
        // As searches go: a key whose group stands where it is looked for later would never be the newest beside an older one.
        let standard = [
            GroupAttribute::ApplicationSpecificInformation,
            GroupAttribute::ObjectGroup,
        ];
        Ok(match self.filtering().await? {
            Filtering::Unsupported => standard.to_vec(),
            Filtering::Works | Filtering::Ignored | Filtering::Unproven => {
                [&[GroupAttribute::XKeygroup][..], &standard].concat()
            }
        })
    }

    async fn create_with(
        &self,
        attribute: GroupAttribute,
        group: &GroupName,
        name: Option<&KeyName>,
    ) -> Result<String, Trouble> {
        let mut attributes = vec![
            Attribute::Algorithm,
            Attribute::Length,
            Attribute::UsageMask(ENCRYPT | DECRYPT),
        ];
        attributes.extend(name.map(|name| Attribute::Name(name.to_string())));
        attributes.extend(attribute.filters(group.as_str()).into_iter().next());
        let question = [Question::Create(&attributes)];
        Ok(self.ask(&question, |said| said.only(reply::identifier)).await??)
    }

    async fn activate(
        &self,
        identifier: String,
        (group, group_attribute): (&GroupName, GroupAttribute),
    ) -> Result<CreatedKey, Trouble> {
        let id = shown(&identifier);
        let not_active = |why: String| {
            Trouble::Refused(format!(
                "key {id} was made and is not active: {why}\nhint: activate it on the server, or leave it: it serves nothing"
            ))
        };
        let question = [Question::Activate(&identifier)];
        match self.ask(&question, |said| said.only(|_| Ok(()))).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => return Err(not_active(failure.to_string())),
            Err(trouble) => return Err(not_active(trouble.to_string())),
        }
        let attributes = self.attributes(&identifier).await??;
        let choice = choose(
            std::slice::from_ref(&attributes),
            (group, Some(group_attribute)),
            self.now(),
        );
        if choice.newest.is_none() {
            let why = choice
                .unusable
                .unwrap_or_else(|| format!("the server does not keep its {group_attribute}"));
            return Err(Trouble::Refused(format!(
                "key {id} was made and is not used: {why}\nhint: choose another group attribute for this server"
            )));
        }
        let names = attributes.names.into_iter();
        Ok(CreatedKey {
            name: names.filter_map(|name| KeyName::new(name).ok()).next(),
            identifier,
            group: group.clone(),
            state: KeyState::Active,
            group_attribute: group_attribute.into(),
        })
    }
}
