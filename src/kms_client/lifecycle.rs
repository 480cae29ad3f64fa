//! Requests that change names, notes and places of groups and keys.

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ask::Question;
use super::{KmsClient, KmsClientError};
use crate::kms_api::{
    Describe, GROUPS_PATH, GroupName, GroupRecord, KeyName, KeyRecord, MoveKeyToGroup, ROTATE_DUE_PATH, RenameGroup,
    RenameKey, RotationReport, SEAL_ROTATE_PATH, SealStatus, SetRotation,
};

impl KmsClient {
    /// Gives a group another name.
    ///
    /// # Errors
    /// `Refused` if there is no such group, the name is taken or has no `ENCR_`, or our role is not admin.
    pub async fn rename_group(&self, group: &GroupName, to: &RenameGroup) -> Result<GroupRecord, KmsClientError> {
        let attempt = format!("rename group {group} to {}", to.name);
        self.change_below(attempt, vec![group.as_str(), "name"], to).await
    }

    /// Gives a group another note.
    ///
    /// # Errors
    /// `Refused` if there is no such group, the note does not fit, or our role is not admin.
    pub async fn describe_group(&self, group: &GroupName, to: &Describe) -> Result<GroupRecord, KmsClientError> {
        let attempt = format!("describe group {group}");
        self.change_below(attempt, vec![group.as_str(), "description"], to)
            .await
    }

    /// Gives a key another name.
    ///
    /// # Errors
    /// `Refused` if there is no such group or key, the name is taken, or our role is not admin.
    pub async fn rename_key(
        &self,
        group: &GroupName,
        key: &KeyName,
        to: &RenameKey,
    ) -> Result<KeyRecord, KmsClientError> {
        let attempt = format!("rename key {key} of group {group} to {}", to.name);
        self.change_below(attempt, vec![group.as_str(), "keys", key.as_str(), "name"], to)
            .await
    }

    /// Gives a key another note.
    ///
    /// # Errors
    /// `Refused` if there is no such group or key, the note does not fit, or our role is not admin.
    pub async fn describe_key(
        &self,
        group: &GroupName,
        key: &KeyName,
        to: &Describe,
    ) -> Result<KeyRecord, KmsClientError> {
        let attempt = format!("describe key {key} of group {group}");
        self.change_below(attempt, vec![group.as_str(), "keys", key.as_str(), "description"], to)
            .await
    }

    /// Puts a key into another group of the same kind.
    ///
    /// # Errors
    /// `Refused` if there is no such group or key, it is active, the kinds differ, the name is taken there, or our role is not admin.
    pub async fn move_key_to_group(
        &self,
        group: &GroupName,
        key: &KeyName,
        to: &MoveKeyToGroup,
    ) -> Result<KeyRecord, KmsClientError> {
        let attempt = format!("move key {key} of group {group} to group {}", to.group);
        self.change_below(attempt, vec![group.as_str(), "keys", key.as_str(), "group"], to)
            .await
    }

    /// Sets the age at which a group's active key is rotated.
    ///
    /// # Errors
    /// `Refused` if there is no such group, the age is out of bounds, or our role is not admin.
    pub async fn set_rotation(&self, group: &GroupName, to: &SetRotation) -> Result<GroupRecord, KmsClientError> {
        let attempt = format!("set the rotation of group {group}");
        self.change_below(attempt, vec![group.as_str(), "rotation"], to).await
    }

    /// Carries out every rotation by age that is due.
    ///
    /// # Errors
    /// `Refused` if our role is not admin. What stands in the way of a rotation is in the report.
    pub async fn rotate_due(&self) -> Result<RotationReport, KmsClientError> {
        let question = Question::new("rotate what is due".to_owned(), Method::POST, ROTATE_DUE_PATH);
        self.change(question).await
    }

    /// Has the KMS draw another key protection key; records are sealed anew in the background.
    ///
    /// # Errors
    /// `Refused` if the store was resealed since the service started, it is quiesced, or our role is not admin.
    pub async fn rotate_seal(&self) -> Result<SealStatus, KmsClientError> {
        let question = Question::new(
            "rotate the key protection key".to_owned(),
            Method::POST,
            SEAL_ROTATE_PATH,
        );
        self.change(question).await
    }

    pub(super) async fn change_below<T: DeserializeOwned>(
        &self,
        attempt: String,
        names: Vec<&str>,
        body: &impl Serialize,
    ) -> Result<T, KmsClientError> {
        let question = Question::new(attempt, Method::POST, GROUPS_PATH);
        self.change(question.names(names).body(body)).await
    }
}
