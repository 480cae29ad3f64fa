//! Whether a server will do: the way to it, the dates of all certificates, versions, what it makes of a search, and the newest key of a group.
//! One finding for each, with what to do about it.

use rustls::pki_types::CertificateDer;

use super::Inner;
use super::error::{Lost, Trouble, shown};
use super::group::{Filtering, GroupAttribute};
use super::line::Peer;
use super::names::Operation;
use super::question::Question;
use super::reply::{self, Advertised, Reply};
use super::version::in_words;
use crate::clock::{Timestamp, to_text};
use crate::kms::connector::GroupName;
use crate::kms::pki::facts;
use crate::kms_api::{Expiry, Finding, Verdict};

impl Inner {
    pub(super) async fn check(&self, group: Option<&GroupName>) -> Vec<Finding> {
        let now = self.clock.now();
        let mut findings = self.own_certificates(now);
        let mut reached = false;
        for (endpoint, peer) in self.lines.peers().await {
            reached |= peer.is_ok();
            findings.extend(connection(&endpoint.to_string(), peer, now));
        }
        if !reached || !self.check_versions(&mut findings).await {
            return findings;
        }
        findings.push(self.advertised().await);
        findings.push(self.check_filtering().await);
        if let Some(group) = group {
            findings.extend(self.check_group(group).await);
        }
        findings
    }

    fn own_certificates(&self, now: Timestamp) -> Vec<Finding> {
        let trusted = self.trust.iter().map(|ca| dates("trusted CA", ca, now));
        let own = self.certificate.first();
        trusted
            .chain(own.map(|certificate| dates("client certificate", certificate, now)))
            .collect()
    }

    async fn check_versions(&self, findings: &mut Vec<Finding>) -> bool {
        let what = "protocol version";
        let (finding, go_on) = match self.agree().await {
            Ok(agreed) if agreed.listed.is_empty() => {
                let text = format!("KMIP {} is used; the server lists no versions", agreed.used);
                (finding(what, Verdict::Ok, &text), true)
            }
            Ok(agreed) => {
                let text = format!(
                    "KMIP {} is used; the server lists {}",
                    agreed.used,
                    in_words(&agreed.listed)
                );
                (finding(what, Verdict::Ok, &text), true)
            }
            Err(trouble) => (failed(what, &trouble), false),
        };
        findings.push(finding);
        go_on
    }

    /// What the server says of itself. Servers say too little of it, so nothing follows.
    async fn advertised(&self) -> Finding {
        let what = "what the server says of itself";
        let read = |said: Reply<'_>| said.only(|payload| Ok(reply::advertised(payload)));
        match self.ask(&[Question::Query], read).await {
            Ok(Ok(advertised)) => finding(what, Verdict::Ok, &described(&advertised)),
            Ok(Err(failure)) => finding(
                what,
                Verdict::Unproven,
                &format!("{failure}\nhint: nothing depends on it"),
            ),
            Err(trouble) => failed(what, &trouble),
        }
    }

    async fn check_filtering(&self) -> Finding {
        let what = "search by x-keygroup";
        self.forget_filtering();
        let said = match self.probe().await {
            Ok(Filtering::Works) => (Verdict::Ok, "works: a group that does not exist has no keys"),
            Ok(Filtering::Unproven) => (
                Verdict::Unproven,
                "finds nothing, and the server shows no keys at all\nhint: make a key and check again",
            ),
            Ok(Filtering::Ignored) => (
                Verdict::Warning,
                "the server ignores it and shows keys of other groups too; every key is looked at instead\nhint: with many keys use --group-attribute object-group",
            ),
            Ok(Filtering::Unsupported) if self.group_attribute.is_some_and(|one| one != GroupAttribute::XKeygroup) => {
                (Verdict::Ok, "the server has no custom attributes, and none is needed")
            }
            Ok(Filtering::Unsupported) => (
                Verdict::Warning,
                "the server has no custom attributes; Object Group and Application Specific Information are used\nhint: set --group-attribute object-group, and give keys their group as Object Group",
            ),
            Err(trouble) => return failed(what, &trouble),
        };
        finding(what, said.0, said.1)
    }

    async fn check_group(&self, group: &GroupName) -> Vec<Finding> {
        let what = format!("newest key of {group}");
        let newest = match self.newest_key(group).await {
            Ok(newest) => newest,
            Err(Trouble::NoKey(why)) => {
                let why = why.map_or_else(String::new, |why| format!(": {why}"));
                let text = format!(
                    "there is no active key{why}\nhint: make one: tapekey kms key create --server {} --group {group}",
                    self.identity.name
                );
                return vec![finding(what, Verdict::Failed, &text)];
            }
            Err(trouble) => return vec![failed(what, &trouble)],
        };
        let since = newest.activation_date.or(newest.initial_date);
        let since = since.and_then(|since| Timestamp::from_unix_timestamp(since).ok());
        let since = since.map_or_else(String::new, |since| format!(", active since {}", to_text(since)));
        let id = shown(&newest.identifier);
        let found = finding(what, Verdict::Ok, &format!("{id}{since}"));
        let what = format!("key {id}");
        let got = match self.get(&newest.identifier).await {
            Ok(Ok(Ok(_))) => finding(what, Verdict::Ok, "is given, 32 bytes"),
            Ok(Ok(Err(why))) => {
                let text = format!("it {why}\nhint: only AES-256 keys in the clear are used on tape");
                finding(what, Verdict::Failed, &text)
            }
            Ok(Err(failure)) => failed(what, &failure.into()),
            Err(trouble) => failed(what, &trouble),
        };
        vec![found, got]
    }
}

fn connection(endpoint: &str, peer: Result<Peer, Lost>, now: Timestamp) -> Vec<Finding> {
    let what = format!("connection to {endpoint}");
    match peer {
        Ok(Peer { certificate, tls }) => {
            let connected = finding(
                what,
                Verdict::Ok,
                &format!("{tls}, the server's certificate is trusted"),
            );
            let certificate = certificate.map(|certificate| dates("server certificate", &certificate, now));
            [Some(connected), certificate].into_iter().flatten().collect()
        }
        Err(lost) => {
            let mut finding = finding(what, Verdict::Failed, &lost.to_string());
            let look = "is the server up, is this its port, does a firewall stand between?";
            finding.remedy.get_or_insert_with(|| look.to_owned());
            vec![finding]
        }
    }
}

fn dates(what: &str, certificate: &CertificateDer<'_>, now: Timestamp) -> Finding {
    let Some(facts) = facts(certificate) else {
        return finding(
            what,
            Verdict::Unproven,
            "cannot be read\nhint: compare its dates by hand",
        );
    };
    let (ends, left) = (to_text(facts.not_after), (facts.not_after - now).whole_days());
    let verdict = match Expiry::at(facts.not_after, now) {
        _ if now < facts.not_before => {
            let text = format!(
                "is valid only from {}\nhint: compare the clocks of both machines",
                to_text(facts.not_before)
            );
            return finding(what, Verdict::Failed, &text);
        }
        None => return finding(what, Verdict::Ok, &format!("valid until {ends}, {left} days left")),
        Some(Expiry::Expired) => Verdict::Failed,
        Some(_) => Verdict::Warning,
    };
    let text = match verdict {
        Verdict::Failed => format!("expired on {ends}"),
        _ => format!("valid until {ends}, {left} days left"),
    };
    finding(
        what,
        verdict,
        &format!("{text}\nhint: renew it; a client certificate keeps its name"),
    )
}

fn described(advertised: &Advertised) -> String {
    let vendor = advertised.vendor.as_deref().unwrap_or("no vendor named");
    let vendor: String = vendor.chars().filter(|letter| !letter.is_control()).take(60).collect();
    let missing: Vec<_> = Operation::ALL
        .into_iter()
        .filter(|operation| !advertised.operations.contains(&operation.code()))
        .map(|operation| operation.to_string())
        .collect();
    let count = advertised.operations.len();
    match missing.is_empty() {
        true => format!("{vendor}; {count} operations, all that are needed"),
        false => format!("{vendor}; {count} operations, {} not listed", missing.join(", ")),
    }
}

fn finding(what: impl Into<String>, verdict: Verdict, said: &str) -> Finding {
    let (text, remedy) = match said.split_once("\nhint: ") {
        Some((text, remedy)) => (text.to_owned(), Some(remedy.replace("\nhint: ", "; "))),
        None => (said.to_owned(), None),
    };
    Finding {
        what: what.into(),
        verdict,
        text,
        remedy,
    }
}

fn failed(what: impl Into<String>, trouble: &Trouble) -> Finding {
    let mut finding = finding(what, Verdict::Failed, &trouble.to_string());
    let look = "look at the server's log for this moment";
    finding.remedy.get_or_insert_with(|| look.to_owned());
    finding
}
