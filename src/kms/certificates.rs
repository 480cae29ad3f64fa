//! Who holds which certificate: renewal, revocation, the groups of media servers. Each is one audited transaction.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use rustls::sign::CertifiedKey;
use time::Duration;
use zeroize::Zeroizing;

use super::audit::{Action, Actor, Event};
use super::model::{CertificateRefusal, HolderRefusal, ServiceError};
use super::pki::{IssuingCa, certificate_pem, client_under, facts, server_under};
use super::service::{Kms, cursor};
use super::store::certificates::{self, NewCertificate, Stored};
use super::store::enrollments::{self, EnrollmentState};
use super::store::{Session, authority};
use crate::clock::to_text;
use crate::kms_api::{
    BOUND_GROUPS_MAX, BindGroups, Binding, CertificateDates, CertificateList, CertificateRecord, ClientName, EndReason,
    Expiry, GroupName, IssuedCertificate, PAGE_RECORDS_MAX, RenewCertificate, RevokeCertificates, Role,
};

/// How a status calls the CA that signs clients' certificates.
const ISSUING_CA: &str = "issuing CA";

/// Clients' certificates that end soon, in a status.
const EXPIRING_SHOWN: usize = 20;

/// Certificates of a name that wait for their first use: a client whose renewals are cut short makes another one each time.
const UNUSED_MAX: usize = 4;

/// How long before its end the issuing CA is an alarm: every client must be enrolled anew before.
const CA_ALARM: Duration = Duration::days(365);

impl Kms {
    /// Whether the holder of a certificate is one still, and which.
    ///
    /// # Errors
    /// [`CertificateRefusal`], or the store's.
    pub(super) async fn admit(&self, actor: &Actor) -> Result<CertificateRecord, ServiceError> {
        let now = self.clock.monotonic();
        let stored = match self.admissions.of(&actor.fingerprint, now) {
            Ok(stored) => stored,
            Err(age) => {
                let stored = self.read_certificate(actor).await?;
                self.admissions.remember(stored.clone(), now, age);
                stored
            }
        };
        stored.is_good(self.clock.now())?;
        Ok(stored.record)
    }

    async fn read_certificate(&self, actor: &Actor) -> Result<Stored, ServiceError> {
        let actor = actor.clone();
        let read = move |session: &mut Session<'_>| {
            let stored =
                certificates::by_fingerprint(session, &actor.fingerprint)?.ok_or(CertificateRefusal::Unknown)?;
            if stored.used || stored.is_good(session.now).is_err() {
                return Ok(stored);
            }
            note_first_use(session, &actor, &stored)?;
            Ok(Stored { used: true, ..stored })
        };
        self.store.run(read).await
    }

    /// Refuses a media server that is not bound to `group`, and writes that down.
    ///
    /// # Errors
    /// [`HolderRefusal::GroupNotBound`]; as [`Kms::admit`].
    pub(super) async fn check_bound(
        &self,
        actor: &Actor,
        action: Action,
        group: &GroupName,
    ) -> Result<(), ServiceError> {
        let record = self.admit(actor).await?;
        let Err(refusal) = certificates::check_bound(record.binding.as_ref(), actor, group) else {
            return Ok(());
        };
        let mut event = Event::new(actor, action);
        event.group = Some(group.to_string());
        self.store
            .run(move |session| session.audited(event, |_, _| Err(refusal.into())))
            .await
    }

    /// A page of certificates; `after` is `NAME/SERIAL`, neither of which can have a slash.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn certificates(&self, after: Option<String>) -> Result<CertificateList, ServiceError> {
        let after = cursor(after.as_deref()).to_owned();
        let listed = move |session: &mut Session<'_>| {
            let after = after.split_once('/').unwrap_or((&after, ""));
            Ok(certificates::list(session, after, PAGE_RECORDS_MAX)?)
        };
        let certificates = self.store.run(listed).await?;
        let full = certificates.len() == PAGE_RECORDS_MAX;
        let next = certificates
            .last()
            .filter(|_| full)
            .map(|last| format!("{}/{}", last.name, last.serial));
        Ok(CertificateList { certificates, next })
    }

    /// Ends certificates of a name, on every node and on open connections too; with them the tokens for that name, and if no certificate of
    /// the name stays, those that its holder made.
    ///
    /// # Errors
    /// [`HolderRefusal`]: none of that name or serial number is valid, or it is the last administrator's.
    pub(super) async fn revoke(
        &self,
        actor: &Actor,
        name: ClientName,
        wanted: RevokeCertificates,
    ) -> Result<CertificateList, ServiceError> {
        let mut event = Event::new(actor, Action::RevokeCertificates);
        event.detail = Some(match &wanted.serial {
            Some(serial) => format!(
                "{name}, serial number {}",
                serial.escape_default().take(64).collect::<String>()
            ),
            None => format!("{name}, all"),
        });
        let by = actor.subject.clone();
        let work = move |session: &Session<'_>, event: &mut Event| {
            let mut all = certificates::of_name(session, &name)?;
            all.retain(|stored| stored.is_revocable(session.now));
            let (ending, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|stored| {
                wanted
                    .serial
                    .as_ref()
                    .is_none_or(|serial| stored.record.serial.eq_ignore_ascii_case(serial))
            });
            let stays = others.iter().any(|stored| stored.stays(session.now));
            let Some(first) = ending.first() else {
                let serial = wanted.serial.map(|serial| serial.escape_default().take(64).collect());
                return Err(HolderRefusal::NoSuchCertificate { name, serial }.into());
            };
            if first.record.role == Role::Admin && !stays && !is_there_another_admin(session, &name)? {
                return Err(HolderRefusal::LastAdmin { name }.into());
            }
            let cancelled = cancel_tokens(session, &name, stays)?;
            if cancelled > 0 {
                let detail = event.detail.take().unwrap_or_default();
                event.detail = Some(format!("{detail}; enrollment tokens cancelled: {cancelled}"));
            }
            let end = |stored| certificates::end(session, stored, (EndReason::Revoked, session.now, &by));
            Ok(ending.into_iter().map(end).collect::<Result<Vec<_>, _>>()?)
        };
        let ended = self.store.run(move |session| session.audited(event, work)).await;
        self.admissions.forget();
        Ok(CertificateList {
            certificates: ended?,
            next: None,
        })
    }

    /// Binds a media server to other groups.
    ///
    /// # Errors
    /// [`HolderRefusal`]: no valid certificate of that name, another role, too many groups.
    pub(super) async fn bind_groups(
        &self,
        actor: &Actor,
        name: ClientName,
        wanted: BindGroups,
    ) -> Result<CertificateList, ServiceError> {
        let mut event = Event::new(actor, Action::BindGroups);
        event.detail = Some(format!("{name} to {}", wanted.binding));
        let work = move |session: &Session<'_>, _: &mut Event| {
            let good = good_of_name(session, &name)?;
            let Some(first) = good.first() else {
                return Err(HolderRefusal::NoSuchCertificate { name, serial: None }.into());
            };
            check_binding(first.record.role, Some(&wanted.binding))?;
            let bind = |stored| certificates::bind(session, stored, wanted.binding.clone());
            Ok(good.into_iter().map(bind).collect::<Result<Vec<_>, _>>()?)
        };
        let bound = self.store.run(move |session| session.audited(event, work)).await;
        self.admissions.forget();
        Ok(CertificateList {
            certificates: bound?,
            next: None,
        })
    }

    /// A successor for the asker's certificate, for another key. The old one is good until an hour after the first use of the new one.
    ///
    /// # Errors
    /// [`HolderRefusal`]: the request, or its key.
    pub(super) async fn renew(
        &self,
        actor: &Actor,
        wanted: RenewCertificate,
    ) -> Result<IssuedCertificate, ServiceError> {
        let event = Event::new(actor, Action::RenewCertificate);
        let work = move |session: &Session<'_>, event: &mut Event| {
            let own = certificates::by_fingerprint(session, &event.actor.fingerprint)?;
            let own = own.ok_or(CertificateRefusal::Unknown)?.record;
            end_unused(session, &own.name)?;
            let holder = Holder {
                name: own.name,
                role: own.role,
                binding: own.binding,
                issued_by: event.actor.subject.clone(),
            };
            issue(session, event, holder, &wanted.signing_request)
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    /// A new certificate for the service itself, for the same names as its old one.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn issue_own(&self, hosts: Vec<String>) -> Result<OwnIssued, ServiceError> {
        let mut event = Event::new(&Actor::local(), Action::RenewCertificate);
        event.detail = Some(format!("of the service itself, for {}", hosts.join(" ")));
        let work = move |session: &Session<'_>, _: &mut Event| {
            let ca = authority::of_session(session)?;
            let leaf = server_under(&ca.certificate, &ca.key, &hosts, session.now)?;
            let chain = [
                leaf.certificate_pem,
                certificate_pem(&ca.certificate),
                certificate_pem(&ca.root),
            ];
            Ok(OwnIssued {
                chain_pem: chain.concat(),
                key_pem: leaf.key_pem,
            })
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    /// Remembers the dates of the service's own chain, which ends with the CAs, for its status.
    pub(super) fn note_own_certificate(&self, own: &CertifiedKey) {
        let names = ["server", ISSUING_CA, "root CA"].into_iter();
        let dates = names.zip(own.cert.iter().filter_map(|certificate| facts(certificate)));
        let dates = dates.map(|(what, facts)| (what, facts.not_after)).collect();
        *self.own_dates.lock().unwrap_or_else(PoisonError::into_inner) = dates;
    }

    /// Certificates whose dates matter: the service's own always, those of clients when they end soon and have no successor, those between it
    /// and external servers when they end soon.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn certificate_dates(&self) -> Result<Vec<CertificateDates>, ServiceError> {
        let now = self.clock.now();
        let own = self.own_dates.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let clients = self
            .store
            .run(|session| Ok(certificates::expiring(session, EXPIRING_SHOWN)?))
            .await?;
        let clients = clients
            .into_iter()
            .map(|client| (format!("{} {}", client.role, client.name), client.not_after));
        let all = own
            .into_iter()
            .map(|(what, not_after)| (what.to_owned(), not_after))
            .chain(clients);
        let dated = all.map(|(what, not_after)| CertificateDates {
            what,
            not_after,
            expiry: Expiry::at(not_after, now),
        });
        let mut dates: Vec<_> = dated.collect();
        dates.extend(self.server_certificates_ending().await?);
        Ok(dates)
    }

    /// Logs which certificates end soon.
    pub(super) async fn alarm_about_certificates(&self) {
        let dates = match self.certificate_dates().await {
            Ok(dates) => dates,
            Err(error) => return tracing::error!(%error, "whether certificates end soon is unknown"),
        };
        for CertificateDates {
            what,
            not_after,
            expiry,
        } in dates
        {
            let until = to_text(not_after);
            if let Some(expiry) = expiry {
                tracing::warn!("ALARM: the certificate of {what} {expiry}, on {until}");
            } else if what == ISSUING_CA && not_after - self.clock.now() <= CA_ALARM {
                tracing::warn!(
                    "ALARM: the {what} ends within a year, on {until}, and every certificate with it\nhint: make a new KMS of a recovery kit (tapekey-kms recover --kit FILE --into FOLDER) and enroll all clients there"
                );
            }
        }
    }
}

/// A certificate for the service itself. No `Debug`: it has the private key.
pub(super) struct OwnIssued {
    /// It, the issuing CA's and the root CA's, in PEM.
    pub(super) chain_pem: String,
    /// Its private key, in PEM.
    pub(super) key_pem: Zeroizing<String>,
}

/// Who gets a certificate.
pub(super) struct Holder {
    pub(super) name: ClientName,
    pub(super) role: Role,
    pub(super) binding: Option<Binding>,
    /// On whose wish.
    pub(super) issued_by: String,
}

/// Issues a certificate and writes it down; the event says which.
pub(super) fn issue(
    session: &Session<'_>,
    event: &mut Event,
    holder: Holder,
    signing_request: &str,
) -> Result<IssuedCertificate, ServiceError> {
    let ca = authority::of_session(session)?;
    let der = client_under(&ca, signing_request, (&holder.name, holder.role), session.now)?;
    let record = write_down(session, holder, &der)?;
    let before = event
        .detail
        .take()
        .map_or_else(String::new, |detail| format!("{detail}: "));
    event.detail = Some(format!(
        "{before}{}, role {}, serial number {}, until {}",
        record.name,
        record.role,
        record.serial,
        record.not_after.date()
    ));
    let IssuingCa { root, .. } = ca;
    Ok(IssuedCertificate {
        certificate: certificate_pem(&der),
        ca: certificate_pem(&root),
        record,
    })
}

fn write_down(session: &Session<'_>, holder: Holder, der: &[u8]) -> Result<CertificateRecord, ServiceError> {
    // It was just made: it can be read.
    let facts = facts(der).ok_or(HolderRefusal::SigningRequest {
        problem: "makes no certificate",
    })?;
    let new = NewCertificate {
        facts: &facts,
        name: &holder.name,
        role: holder.role,
        binding: holder.binding,
        issued_by: &holder.issued_by,
    };
    Ok(certificates::insert(session, new)?.ok_or(HolderRefusal::KeyInUse)?)
}

/// The first use of a certificate. Where it is the successor of others, that is an audited change: they end.
fn note_first_use(session: &mut Session<'_>, actor: &Actor, stored: &Stored) -> Result<(), ServiceError> {
    let name = &stored.record.name;
    let others = good_of_name(session, name)?.len();
    if others <= 1 {
        return Ok(certificates::note_use(session, stored)?);
    }
    let mut event = Event::new(actor, Action::ReplaceCertificates);
    event.detail = Some(format!("{name}, by serial number {}", stored.record.serial));
    session.audited(event, |session, _| Ok(certificates::note_use(session, stored)?))
}

fn good_of_name(session: &Session<'_>, name: &ClientName) -> Result<Vec<Stored>, ServiceError> {
    let mut all = certificates::of_name(session, name)?;
    all.retain(|stored| stored.is_good(session.now).is_ok());
    Ok(all)
}

/// Nobody may have a valid certificate of that name.
pub(super) fn check_name_is_free(session: &Session<'_>, name: &ClientName) -> Result<(), ServiceError> {
    if good_of_name(session, name)?.is_empty() {
        Ok(())
    } else {
        Err(HolderRefusal::NameHeld { name: name.clone() }.into())
    }
}

/// Cancels the tokens for a name; unless its holder `stays`, also those that it made. How many.
fn cancel_tokens(session: &Session<'_>, name: &ClientName, stays: bool) -> Result<usize, ServiceError> {
    let mut tokens = enrollments::unused_for(session, name)?;
    if !stays {
        let made = enrollments::unused_by(session, &format!("CN={name}"))?;
        // One for itself is there already.
        tokens.extend(made.into_iter().filter(|token| token.name != *name));
    }
    for token in &tokens {
        enrollments::end(session, token, EnrollmentState::Cancelled)?;
    }
    Ok(tokens.len())
}

/// Makes room for one more certificate that waits for its first use: the oldest of them end.
fn end_unused(session: &Session<'_>, name: &ClientName) -> Result<(), ServiceError> {
    let newest_first = certificates::of_name(session, name)?.into_iter();
    let unused = newest_first.filter(|stored| !stored.used && stored.stays(session.now));
    for oldest in unused.skip(UNUSED_MAX - 1) {
        certificates::end(
            session,
            oldest,
            (EndReason::Replaced, session.now, &format!("CN={name}")),
        )?;
    }
    Ok(())
}

fn is_there_another_admin(session: &Session<'_>, than: &ClientName) -> Result<bool, ServiceError> {
    let admins = certificates::names_of_role(session, Role::Admin)?;
    let others: BTreeSet<_> = admins.into_iter().filter(|name| name != than).collect();
    for name in others {
        let all = certificates::of_name(session, &name)?;
        if all.iter().any(|stored| stored.stays(session.now)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Groups are for media servers, and only for them.
pub(super) fn check_binding(role: Role, binding: Option<&Binding>) -> Result<(), HolderRefusal> {
    let fits = match binding {
        None => role != Role::MediaServer,
        Some(Binding::AllGroups) => role == Role::MediaServer,
        Some(Binding::Groups(names)) => role == Role::MediaServer && names.len() <= BOUND_GROUPS_MAX,
    };
    if fits {
        Ok(())
    } else {
        Err(HolderRefusal::WrongBinding { role })
    }
}
