//! From what the state machine saw to what the job's record says.

mod scan;

use super::step::Change;
use crate::clock::Timestamp;
use crate::controller::job::{JobGiver, JobInForce, JobKey, JobKms, JobMessage, JobProof, JobRecord, JobServer, Level};
use crate::drive::{DecryptionMode, EncryptionMode, KeyInForce, Scope};
use crate::kad::{BlockKads, OurKad};
use crate::keysource::{CandidateFacts, KeyFacts, KeyServer, ServerOutcome};

/// Writes `change`, which happened at `now`, into `record`.
pub fn apply(record: &mut JobRecord, change: Change, now: Timestamp) {
    match change {
        Change::Drive(identity) => {
            record.drive.product = Some(format!(
                "{} {} {}",
                identity.vendor, identity.product, identity.revision
            ));
            record.drive.serial = Some(identity.serial);
        }
        Change::Volume(volume) => {
            record.volume.serial = volume.medium_serial;
            record.volume.barcode = volume.barcode;
            record.volume.pool_on_medium = volume.pool;
        }
        Change::FirstBlock(kads) => {
            record.volume.kad = hex_if_any(&kads.unauthenticated);
            record.volume.a_kad = hex_if_any(&kads.authenticated);
        }
        Change::Barcode(barcode) => record.volume.barcode = Some(barcode),
        Change::Pool(pool) => record.pool = Some(pool),
        Change::Key { facts, new } => set_key(record, facts, new),
        Change::Candidate { facts, kads } => set_candidate(record, facts, &kads),
        Change::Asked(outcomes) => set_servers(record, outcomes),
        Change::GivenKey { kads, by } => set_given(record, &kads, by),
        Change::WrongKeys(ids) => record.wrong_keys = ids.iter().map(ToString::to_string).collect(),
        Change::InForce(in_force) => record.in_force = Some(in_force_words(&in_force)),
        Change::Proof(proof) => {
            record.proof = Some(JobProof {
                verdict: proof.to_string(),
                taken: now,
            })
        }
        Change::File(place) => scan::add(record.scan.get_or_insert_default(), place),
        Change::AllFiles => record.scan.get_or_insert_default().complete = true,
        Change::NotProven(why) => record.not_proven = record.not_proven.take().or(Some(why)),
        Change::Message { level, text, hint } => message(record, now, level, text, hint),
    }
}

/// Adds a message to `record`.
pub fn message(record: &mut JobRecord, at: Timestamp, level: Level, text: String, hint: Option<String>) {
    record.messages.push(JobMessage { at, level, text, hint });
}

fn set_key(record: &mut JobRecord, facts: KeyFacts, new: bool) {
    record.pool = Some(facts.group.to_string());
    record.kms = Some(kms(facts.server));
    if new {
        set_servers(record, facts.asked);
    }
    record.key = Some(JobKey {
        group: Some(facts.group.into()),
        id: Some(facts.kad.key_id().to_string()),
        name: Some(facts.key_name),
        state: Some(facts.state.to_string()),
        kad: facts.kad.to_string(),
        a_kad: None,
        new,
        given_by: None,
    });
}

/// The volume belongs to no pool of ours, whichever group its key is in.
fn set_candidate(record: &mut JobRecord, facts: CandidateFacts, kads: &BlockKads) {
    record.kms = Some(kms(facts.server));
    record.key = Some(JobKey {
        group: Some(facts.group.into()),
        id: Some(facts.key_id.to_string()),
        name: Some(facts.key_name),
        state: Some(facts.state.to_string()),
        kad: hex::encode(&kads.unauthenticated),
        a_kad: hex_if_any(&kads.authenticated),
        new: false,
        given_by: None,
    });
}

/// Of a key that somebody gave nothing is known but the KADs it is for.
fn set_given(record: &mut JobRecord, kads: &BlockKads, by: JobGiver) {
    let ours = OurKad::decode(&kads.unauthenticated).filter(|_| kads.authenticated.is_empty());
    record.key = Some(JobKey {
        group: None,
        id: ours.map(|kad| kad.key_id().to_string()),
        name: None,
        state: None,
        kad: hex::encode(&kads.unauthenticated),
        a_kad: hex_if_any(&kads.authenticated),
        new: false,
        given_by: Some(by),
    });
}

fn hex_if_any(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| hex::encode(bytes))
}

fn kms(server: KeyServer) -> JobKms {
    JobKms {
        name: server.name,
        kind: server.kind.to_string(),
        address: server.address,
        server_address: server.server_address,
        priority: server.priority,
        cached: server.cached,
        fallback: server.fallback,
        took_ms: server.took_ms,
        protocol_version: server.protocol_version,
        identifier: server.identifier,
    }
}

fn set_servers(record: &mut JobRecord, asked: Vec<ServerOutcome>) {
    let servers = asked.into_iter().map(|one| JobServer {
        server: kms(one.server),
        result: one.result.to_string(),
    });
    record.servers = servers.collect();
}

fn in_force_words(in_force: &KeyInForce) -> JobInForce {
    JobInForce {
        encryption: encryption_word(in_force.encryption_mode),
        decryption: decryption_word(in_force.decryption_mode),
        scope: scope_word(in_force.key_scope),
        key_instance_counter: in_force.key_instance_counter,
    }
}

/// The standard's word for an encryption mode.
#[must_use]
pub fn encryption_word(mode: EncryptionMode) -> String {
    match mode {
        EncryptionMode::Disable => "DISABLE".into(),
        EncryptionMode::External => "EXTERNAL".into(),
        EncryptionMode::Encrypt => "ENCRYPT".into(),
        EncryptionMode::Unknown(value) => format!("{value:X}h"),
    }
}

/// The standard's word for a decryption mode.
#[must_use]
pub fn decryption_word(mode: DecryptionMode) -> String {
    match mode {
        DecryptionMode::Disable => "DISABLE".into(),
        DecryptionMode::Raw => "RAW".into(),
        DecryptionMode::Decrypt => "DECRYPT".into(),
        DecryptionMode::Mixed => "MIXED".into(),
        DecryptionMode::Unknown(value) => format!("{value:X}h"),
    }
}

/// The standard's word for a scope.
#[must_use]
pub fn scope_word(scope: Scope) -> String {
    match scope {
        Scope::Public => "PUBLIC".into(),
        Scope::Local => "LOCAL".into(),
        Scope::AllItNexus => "ALL I_T NEXUS".into(),
        Scope::Unknown(value) => format!("{value:X}h"),
    }
}
