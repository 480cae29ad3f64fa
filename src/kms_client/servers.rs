//! What administrators ask about external servers.

use std::time::Duration;

use reqwest::Method;

use super::KmsClient;
use super::ask::Question;
use super::error::KmsClientError;
use crate::kms_api::{
    AddServer, BindGroupToServer, ChangeServer, CheckServer, CreateServerKey, CreatedKey, GroupName, GroupRecord,
    RemoveServer, RemovedServer, SERVERS_PATH, ServerCheck, ServerList, ServerName, ServerRecord,
};

/// How long a look at a server may take: the KMS gives it 20 s.
const CHECK_LIMIT: Duration = Duration::from_secs(30);

impl KmsClient {
    /// All external servers, in the order in which they are asked.
    ///
    /// # Errors
    /// `Refused` if our role does not allow it.
    pub async fn servers(&self) -> Result<Vec<ServerRecord>, KmsClientError> {
        let question = Question::new("list external servers".to_owned(), Method::GET, SERVERS_PATH);
        let (list, _): (ServerList, _) = self.ask(&question, |_| Ok(())).await?;
        Ok(list.servers)
    }

    /// One external server.
    ///
    /// # Errors
    /// `Refused` if there is none of that name, or our role does not allow it.
    pub async fn server(&self, name: &ServerName) -> Result<ServerRecord, KmsClientError> {
        let question = Question::new(format!("show external server {name}"), Method::GET, SERVERS_PATH);
        let question = question.names(vec![name.as_str()]);
        Ok(self.ask(&question, |_| Ok(())).await?.0)
    }

    /// Adds an external server.
    ///
    /// # Errors
    /// `Refused` if the name is taken, the settings cannot be used, or our role does not allow it.
    pub async fn add_server(&self, wanted: &AddServer) -> Result<ServerRecord, KmsClientError> {
        let attempt = format!("add external server {}", wanted.name);
        self.change(Question::new(attempt, Method::POST, SERVERS_PATH).body(wanted))
            .await
    }

    /// Gives an external server other settings.
    ///
    /// # Errors
    /// `Refused` if there is none of that name, the settings cannot be used, or our role does not allow it.
    pub async fn change_server(
        &self,
        name: &ServerName,
        wanted: &ChangeServer,
    ) -> Result<ServerRecord, KmsClientError> {
        let attempt = format!("change external server {name}");
        let question = Question::new(attempt, Method::POST, SERVERS_PATH);
        self.change(question.names(vec![name.as_str(), "settings"]).body(wanted))
            .await
    }

    /// Takes an external server out of the configuration.
    ///
    /// # Errors
    /// `Refused` if there is none of that name, groups are bound to it, it holds keys of volumes and `wanted` does not accept that, or our role
    /// does not allow it.
    pub async fn remove_server(
        &self,
        name: &ServerName,
        wanted: &RemoveServer,
    ) -> Result<RemovedServer, KmsClientError> {
        let attempt = format!("remove external server {name}");
        let question = Question::new(attempt, Method::POST, SERVERS_PATH);
        self.change(question.names(vec![name.as_str(), "remove"]).body(wanted))
            .await
    }

    /// Has the KMS look at an external server.
    ///
    /// # Errors
    /// `Refused` if there is none of that name, or our role does not allow it.
    pub async fn check_server(&self, name: &ServerName, wanted: &CheckServer) -> Result<ServerCheck, KmsClientError> {
        let attempt = format!("check external server {name}");
        let question = Question::new(attempt, Method::POST, SERVERS_PATH);
        let question = question
            .names(vec![name.as_str(), "check"])
            .body(wanted)
            .within(CHECK_LIMIT);
        Ok(self.ask(&question, |_| Ok(())).await?.0)
    }

    /// Has an external server make a key.
    ///
    /// # Errors
    /// `Refused` if there is none of that name, it makes none, the KMS is quiesced, or our role does not allow it.
    pub async fn create_server_key(
        &self,
        name: &ServerName,
        wanted: &CreateServerKey,
    ) -> Result<CreatedKey, KmsClientError> {
        let attempt = format!("create a key of group {} at external server {name}", wanted.group);
        let question = Question::new(attempt, Method::POST, SERVERS_PATH);
        self.change(question.names(vec![name.as_str(), "keys"]).body(wanted))
            .await
    }

    /// Binds a group to one server, or to none.
    ///
    /// # Errors
    /// `Refused` if there is no such group or server, or our role does not allow it.
    pub async fn bind_group_to_server(
        &self,
        group: &GroupName,
        to: &BindGroupToServer,
    ) -> Result<GroupRecord, KmsClientError> {
        let server = to.server.as_ref().map_or("any server", ServerName::as_str);
        let attempt = format!("bind group {group} to {server}");
        self.change_below(attempt, vec![group.as_str(), "server"], to).await
    }
}
