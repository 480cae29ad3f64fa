//! From what a drive answered to what a person should know: one finding a line, each with a verdict and, unless all is well, a remedy. Pure.

use super::operation::Rules;
use super::report::{Finding, Verdict};
use crate::drive::{
    DriveError, EncryptionOffer, Examination, KeyInForce, MediumFacts, Readiness, Refusal, SetScope, generation,
    offers_scope,
};

/// What to do where the drive's own words are all there is.
const LOOK_IT_UP: &str = "look the drive's answer up in its manual and at its display";

/// What follows from `examination`, for a drive that has to obey `rules`.
#[must_use]
pub fn findings(examination: &Examination, rules: &Rules) -> Vec<Finding> {
    let mut found = vec![
        identity(examination, rules),
        readiness(&examination.readiness),
        offer(&examination.offer, &examination.readiness),
    ];
    found.extend(examination.offer.as_ref().ok().map(|offer| scope(offer, rules)));
    found.push(sending(&examination.sending));
    found.push(key_in_force(&examination.in_force));
    match &examination.medium {
        None => {}
        Some(Ok(medium)) => found.extend(medium_findings(medium)),
        Some(Err(error)) => found.push(failed("medium", error)),
    }
    found.extend(examination.statistics.as_ref().map(statistics));
    found
}

/// A drive that could not be asked at all.
#[must_use]
pub fn unreached(error: &impl ToString) -> Vec<Finding> {
    vec![of_error(Verdict::Wrong, "reached", error)]
}

/// A drive that was left alone.
#[must_use]
pub fn left_alone(why: &str, remedy: &str) -> Vec<Finding> {
    let text = format!("not asked: {why}");
    vec![finding(Verdict::Unknown, "reached", text, Some(remedy))]
}

fn finding(verdict: Verdict, about: &str, text: impl Into<String>, remedy: Option<&str>) -> Finding {
    Finding {
        about: about.to_owned(),
        verdict,
        text: text.into(),
        remedy: remedy.map(str::to_owned),
    }
}

/// An error says in its last line what to do.
fn of_error(verdict: Verdict, about: &str, error: &impl ToString) -> Finding {
    let text = error.to_string();
    let (what, remedy) = text.rsplit_once("\nhint: ").unwrap_or((&text, LOOK_IT_UP));
    finding(verdict, about, what.replace('\n', "; "), Some(remedy))
}

/// What a drive answers against the standard is wrong, what it did not answer is not known.
fn failed(about: &str, error: &DriveError) -> Finding {
    match error {
        DriveError::Answer { .. } | DriveError::Refused { .. } => of_error(Verdict::Wrong, about, error),
        _ => of_error(Verdict::Unknown, about, error),
    }
}

fn identity(examination: &Examination, rules: &Rules) -> Finding {
    let identity = match &examination.identity {
        Ok(identity) => identity,
        Err(error) => return failed("reached", error),
    };
    let product = format!("{} {} {}", identity.vendor, identity.product, identity.revision);
    let text = format!("{product}, serial number {}", identity.serial);
    match &rules.expected_serial {
        Some(expected) if *expected != identity.serial => finding(
            Verdict::Wrong,
            "reached",
            format!("{text}; the configuration says {expected}"),
            Some("nodes change their numbers at a restart; correct path or serial of this drive"),
        ),
        Some(_) => finding(Verdict::Ok, "reached", text, None),
        None => finding(
            Verdict::Warning,
            "reached",
            format!("{text}; the configuration names no serial number"),
            Some("add serial = to this drive's section, so that no other drive is ever given a key by mistake"),
        ),
    }
}

fn readiness(readiness: &Result<Readiness, DriveError>) -> Finding {
    match readiness {
        Ok(Readiness::Ready) => finding(Verdict::Ok, "volume", "a volume is ready", None),
        Ok(Readiness::NoMedium) => finding(
            Verdict::Unknown,
            "volume",
            "no volume is in the drive: what depends on one was not asked",
            Some("put a volume in and run it again"),
        ),
        Ok(Readiness::BecomingReady) => finding(
            Verdict::Unknown,
            "volume",
            "a volume is becoming ready: what depends on it was not asked",
            Some("run it again in a minute"),
        ),
        Ok(Readiness::CleaningCartridge) => finding(
            Verdict::Unknown,
            "volume",
            "a cleaning cartridge is in the drive: what depends on a volume was not asked",
            Some("put a volume in and run it again"),
        ),
        Ok(Readiness::NotReady { sense }) => finding(Verdict::Wrong, "volume", sense, Some(LOOK_IT_UP)),
        Err(error) => failed("volume", error),
    }
}

fn offer(offer: &Result<EncryptionOffer, DriveError>, readiness: &Result<Readiness, DriveError>) -> Finding {
    const ABOUT: &str = "encryption";
    match offer {
        Ok(offer) => finding(
            Verdict::Ok,
            ABOUT,
            format!(
                "protocol 20h is offered, with AES-256-GCM in hardware (algorithm index {}); the host may set keys",
                offer.algorithm.algorithm_index
            ),
            None,
        ),
        // Without a volume no algorithm is valid for one.
        Err(DriveError::Refused {
            refusal: Refusal::NotForThisVolume,
            ..
        }) if !matches!(readiness, Ok(Readiness::Ready)) => finding(
            Verdict::Ok,
            ABOUT,
            "protocol 20h is offered, with AES-256-GCM in hardware; the host may set keys",
            None,
        ),
        Err(error) => failed(ABOUT, error),
    }
}

fn scope(offer: &EncryptionOffer, rules: &Rules) -> Finding {
    let word = match rules.scope {
        SetScope::AllItNexus => "all_it_nexus",
        SetScope::Local => "local",
    };
    if offers_scope(offer, rules.scope) {
        return finding(Verdict::Ok, "scope", format!("the drive offers scope {word}"), None);
    }
    finding(
        Verdict::Wrong,
        "scope",
        format!("the drive does not offer scope {word}, which the configuration asks for"),
        Some("set scope to the other value in the daemon's configuration"),
    )
}

fn sending(sending: &Result<(), DriveError>) -> Finding {
    match sending {
        Ok(()) => finding(
            Verdict::Ok,
            "permission",
            "the system lets the daemon send SECURITY PROTOCOL OUT",
            None,
        ),
        Err(error @ DriveError::Transport { .. }) => of_error(Verdict::Wrong, "permission", error),
        Err(error) => failed("permission", error),
    }
}

fn key_in_force(in_force: &Result<[KeyInForce; 2], DriveError>) -> Finding {
    const ABOUT: &str = "key";
    let [before, after] = match in_force {
        Ok(pair) => pair,
        Err(error) => return failed(ABOUT, error),
    };
    if before != after {
        return finding(
            Verdict::Wrong,
            ABOUT,
            format!(
                "the drive's encryption changed while it was asked: key instance counter {}, then {}",
                before.key_instance_counter, after.key_instance_counter
            ),
            Some("another host sets keys on this drive; find it, or let it use another drive"),
        );
    }
    if before.is_disabled() {
        return finding(Verdict::Ok, ABOUT, "no key is in the drive", None);
    }
    let whose = match before.our_kad() {
        Some(kad) => format!("key {} of tapekey", kad.key_id()),
        None => format!(
            "a key that is not ours, U-KAD {}",
            hex::encode(&before.unauthenticated_kad)
        ),
    };
    finding(
        Verdict::Warning,
        ABOUT,
        format!("{whose} is in the drive, and no job of this host left it there"),
        Some("unless a program or another host uses it: tapekey clear"),
    )
}

fn medium_findings(medium: &MediumFacts) -> Vec<Finding> {
    const ABOUT: &str = "medium";
    let name = medium.volume.barcode.as_ref().or(medium.volume.medium_serial.as_ref());
    let name = name.map_or("a volume", String::as_str);
    let kind = match medium.density {
        Some(density) => generation(density).map_or(format!("density {density:02X}h"), str::to_owned),
        None => "generation unknown".to_owned(),
    };
    let text = format!("{name}, {kind}");
    let mut found = Vec::new();
    if medium.volume.medium_serial.is_none() && medium.volume.barcode.is_none() {
        found.push(finding(
            Verdict::Wrong,
            ABOUT,
            "the volume's memory has neither a medium serial number nor a barcode: no key goes in, since nothing tells it from another",
            Some("have the cartridge's memory looked at, or use another one"),
        ));
    }
    if medium.write_protected {
        found.push(finding(
            Verdict::Warning,
            ABOUT,
            format!("{text}: write-protected; it can be read, and not be written"),
            Some("move the switch on the cartridge, if it is to be written"),
        ));
    }
    if medium.density.is_none() {
        found.push(finding(
            Verdict::Unknown,
            ABOUT,
            format!("{text}: the drive does not tell its density"),
            Some(LOOK_IT_UP),
        ));
    }
    match medium.worm {
        Some(true) => found.push(finding(
            Verdict::Warning,
            ABOUT,
            format!("{text}: WORM; what is written once stays, and so must its key"),
            Some("take a snapshot or kit of the KMS before its first backup"),
        )),
        Some(false) => {}
        None => found.push(finding(
            Verdict::Unknown,
            ABOUT,
            format!("{text}: its memory does not tell whether it is WORM"),
            Some(LOOK_IT_UP),
        )),
    }
    if found.is_empty() {
        found.push(finding(Verdict::Ok, ABOUT, format!("{text}, can be written"), None));
    }
    found
}

fn statistics(statistics: &Result<bool, DriveError>) -> Finding {
    match statistics {
        Ok(true) => finding(
            Verdict::Ok,
            "proof",
            "the drive keeps the volume statistics of which proofs are taken",
            None,
        ),
        Ok(false) => finding(
            Verdict::Warning,
            "proof",
            "the drive says that its volume statistics are not valid: proofs will be unknown",
            Some("unload the volume and load it again; if it stays so, have the cartridge's memory looked at"),
        ),
        Err(error) => failed("proof", error),
    }
}

#[cfg(test)]
mod tests;
