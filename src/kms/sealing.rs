//! What the store is sealed under, and how that changes while it serves: the host master key, and the key protection key below it. Every key
//! opens at any moment, under whichever of them its record names.

use super::audit::{Action, Actor, Event};
use super::model::{Refusal, ServiceError};
use super::seal::HostMasterKey;
use super::service::Kms;
use super::store::reseal::{self, Walk};
use super::store::{Session, StoreError};
use crate::kms_api::SealStatus;

/// Records that are sealed anew in one transaction: requests wait no longer than one of these takes.
const RECORDS_AT_ONCE: usize = 60;

/// Transactions in one look, so that whatever else is due has its turn.
const STEPS_AT_ONCE: usize = 1_000;

/// Where sealing anew is after a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resealing {
    /// There is nothing to do, or nothing any more.
    Done,
    /// The next look goes on.
    Begun,
    /// These do not open, so the former key protection keys must stay.
    Failed(Vec<String>),
}

impl Kms {
    /// Seals the sealing keys under another host master key, in one transaction. A service that works on the same store goes on; whoever opens
    /// the store from now on needs the new key.
    ///
    /// # Errors
    /// The store's, and that it is quiesced. Then everything is as it was.
    pub(super) async fn reseal(&self, actor: &Actor, new: HostMasterKey) -> Result<(), ServiceError> {
        let event = Event::new(actor, Action::ResealStore);
        let work = move |session: &Session<'_>, event: &mut Event| {
            let former = reseal::under_master_key(session, &new)?;
            event.detail = Some(format!("under host master key {}, before under {former}", new.id()));
            Ok(())
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    /// Draws another key protection key. It seals whatever is written from now on; what is there is sealed anew in the background.
    ///
    /// # Errors
    /// The store's, and that it is quiesced.
    pub async fn rotate_key_protection(&self, actor: &Actor) -> Result<SealStatus, ServiceError> {
        let event = Event::new(actor, Action::RotateKeyProtection);
        let work = |session: &Session<'_>, event: &mut Event| {
            let renewed = reseal::renew_key_protection(session).map_err(|error| match error {
                StoreError::Resealed => Refusal::Resealed.into(),
                other => ServiceError::Store(other),
            });
            event.detail = Some(format!("to {}", renewed?));
            Ok(())
        };
        self.store.run(move |session| session.audited(event, work)).await?;
        self.wake.notify_one();
        self.seal_status().await
    }

    /// How far records are sealed under the newest key protection key.
    pub(super) async fn seal_status(&self) -> Result<SealStatus, ServiceError> {
        let progress = self.store.run(|session| Ok(reseal::progress(session)?)).await?;
        Ok(SealStatus {
            key_protection_key: progress.current.to_string(),
            former: progress.former,
            records_left: progress.records_left,
        })
    }

    /// Seals some records anew, if there is a former key protection key, and forgets that key once it seals nothing. `walk` says where it is;
    /// a walk that was lost begins again and finds little to do.
    pub(super) async fn reseal_some(&self, walk: &mut Walk) -> Result<Resealing, ServiceError> {
        if self.is_quiesced().await? || self.seal_status().await?.former == 0 {
            return Ok(Resealing::Done);
        }
        let mut failed = Vec::new();
        for _ in 0..STEPS_AT_ONCE {
            let from = walk.clone();
            let step = move |session: &mut Session<'_>| {
                let mut failed = Vec::new();
                Ok((reseal::step(session, from, RECORDS_AT_ONCE, &mut failed)?, failed))
            };
            let (next, more) = self.store.run(step).await?;
            failed.extend(more);
            *walk = next;
            if !failed.is_empty() {
                *walk = Walk::default();
                return Ok(Resealing::Failed(failed));
            }
            if *walk == Walk::End {
                *walk = Walk::default();
                if self.retire_key_protection().await? {
                    return Ok(Resealing::Done);
                }
            }
        }
        Ok(Resealing::Begun)
    }

    /// False if something is still sealed under a former key: yet another one was drawn while the walk was under way.
    async fn retire_key_protection(&self) -> Result<bool, ServiceError> {
        let event = Event::new(&Actor::schedule(), Action::RetireKeyProtection);
        let work = |session: &Session<'_>, event: &mut Event| {
            let retired = reseal::retire_former(session)?;
            event.detail = Some(format!("{retired} former"));
            Ok(())
        };
        let retire = move |session: &mut Session<'_>| {
            if reseal::progress(session)?.records_left > 0 {
                return Ok(false);
            }
            session.audited(event, work).map(|()| true)
        };
        self.store.run(retire).await
    }
}
