//! A server that is configured and cannot be used. It stays in its place: a backup that would ask it stops, and a restore says that it could
//! not be asked, instead of either going on as if it were not there.

use crate::kms::connector::{
    Answer, Asking, Checking, CreatedKey, ExternalKey, ExternalServer, Finding, GroupName, KeyName, Peer,
    ServerIdentity, Verdict, Wanted,
};

/// Answers every question with why it cannot be asked.
pub(super) struct Unusable {
    pub(super) identity: ServerIdentity,
    pub(super) why: String,
}

impl Unusable {
    fn why(&self) -> String {
        format!("it cannot be used as it is configured: {}", self.why)
    }

    /// No rule of passing over servers that cannot be reached is meant for it: it has to be mended.
    fn refusal<T: Send + 'static>(&self) -> Asking<T> {
        let why = self.why();
        Box::pin(async move { Answer::Refused(why) })
    }
}

impl ExternalServer for Unusable {
    fn identity(&self) -> &ServerIdentity {
        &self.identity
    }

    fn key_for_backup(&self, _: &GroupName) -> Asking<ExternalKey> {
        self.refusal()
    }

    fn keys_for_restore(&self, _: &Wanted) -> Asking<Vec<ExternalKey>> {
        let why = self.why();
        Box::pin(async move { Answer::Unreachable(why) })
    }

    fn check(&self, _: Option<&GroupName>) -> Checking {
        let name = &self.identity.name;
        let finding = Finding {
            what: "settings".to_owned(),
            verdict: Verdict::Failed,
            text: self.why.clone(),
            remedy: Some(format!(
                "give it others: tapekey kms server set {name}; if its record is damaged, add it again"
            )),
        };
        Box::pin(async move { vec![finding] })
    }

    fn create_key(&self, _: &GroupName, _: Option<&KeyName>) -> Asking<CreatedKey> {
        self.refusal()
    }

    fn peer(&self) -> Peer {
        Peer::default()
    }
}
