//! What a person or a test is told about a running drive (`PROTOCOL.md` 2.3).

use std::path::PathBuf;

use serde::Serialize;

use super::cli::ManagedArg;
use super::machine::{Machine, NoDrive};
use crate::{Drive, DriveStatus, ItNexus};

/// The member `status` of an answer.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    loaded: bool,
    cartridge: Option<PathBuf>,
    medium_serial: Option<String>,
    barcode: Option<String>,
    position: Option<Position>,
    objects: Option<u64>,
    blocks: Option<u64>,
    filemarks: Option<u64>,
    plain_blocks: Option<u64>,
    encrypted_blocks: Option<u64>,
    encryption: String,
    decryption: String,
    key_instance_counter: u32,
    hang: bool,
    waiting: usize,
    library_managed: ManagedArg,
    refuse_spout: String,
    faults: usize,
    commands: u64,
    elapsed_ms: u64,
    seed: u64,
}

/// Where the tape stands.
#[derive(Debug, Serialize)]
struct Position {
    partition: u8,
    object: u64,
}

impl Status {
    /// Asks the drive that is unit `unit`.
    ///
    /// # Errors
    /// There is no such drive, or it is at work for minutes.
    pub(super) fn of(machine: &Machine, unit: usize, nexus: Option<&ItNexus>) -> Result<Self, NoDrive> {
        machine.with_drive(unit, |drive| Self::ask(machine, unit, drive, nexus))
    }

    fn ask(machine: &Machine, unit: usize, drive: &mut Drive, nexus: Option<&ItNexus>) -> Self {
        let (hang, waiting) = machine.hang(unit);
        let (faults, commands) = machine.fault_counts();
        let DriveStatus {
            medium,
            encryption_mode,
            decryption_mode,
            key_instance_counter,
        } = drive.status(nexus);
        let elapsed = drive.elapsed();
        let quirks = drive.quirks();
        let medium = medium.as_ref();
        Self {
            loaded: medium.is_some(),
            cartridge: medium.and_then(|medium| medium.path.clone()),
            medium_serial: medium.map(|medium| medium.medium_serial.clone()),
            barcode: medium.and_then(|medium| medium.barcode.clone()),
            position: medium.map(|medium| Position {
                partition: 0,
                object: medium.object,
            }),
            objects: medium.map(|medium| medium.objects),
            blocks: medium.map(|medium| medium.plain_blocks.saturating_add(medium.encrypted_blocks)),
            filemarks: medium.map(|medium| medium.filemarks),
            plain_blocks: medium.map(|medium| medium.plain_blocks),
            encrypted_blocks: medium.map(|medium| medium.encrypted_blocks),
            encryption: word(&ENCRYPTION_MODES, encryption_mode),
            decryption: word(&DECRYPTION_MODES, decryption_mode),
            key_instance_counter,
            hang,
            waiting,
            library_managed: quirks.library_managed.into(),
            refuse_spout: quirks
                .refuse_security_protocol_out
                .map_or_else(|| "off".to_owned(), |code| code.to_string()),
            faults,
            commands,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            seed: machine.seed(),
        }
    }
}

/// The standard's word for a mode; a value without one in hex, not a guess.
fn word(words: &[&str], mode: u8) -> String {
    words
        .get(usize::from(mode))
        .map_or_else(|| format!("{mode:02X}h"), |word| (*word).to_owned())
}

const ENCRYPTION_MODES: [&str; 3] = ["disable", "external", "encrypt"];
const DECRYPTION_MODES: [&str; 4] = ["disable", "raw", "decrypt", "mixed"];
