//! Which volume is in the drive and what stands at its beginning: that decides which key may go in.

use super::{Operation, State, Wish};
use crate::controller::job::Level;
use crate::controller::pool::Pool;
use crate::controller::step::{Ask, Change, Step};
use crate::drive::{Beginning, Decryption, Proof, VolumeIdentity};
use crate::kad::{BlockKads, OurKad};
use crate::keysource::{GroupName, VolumeName};

impl Operation {
    pub(super) fn volume_read(&mut self, volume: VolumeIdentity) -> Step {
        self.changes.push(Change::Volume(volume.clone()));
        let cleaning = volume.cleaning;
        self.volume = volume;
        if cleaning {
            return self.refuse_cleaning();
        }
        if self.wish == Wish::Scan {
            return self.ask(State::ScanRewinding, Ask::Rewind);
        }
        if let Err((text, hint)) = self.name_volume() {
            return self.refuse(text, hint);
        }
        match self.plain_pool() {
            Some(_) => self.ask(State::PlainReadingBack, Ask::InForce),
            None => self.ask(State::CheckingOffer, Ask::Offer),
        }
    }

    /// Finds the name by which keys are asked for: the barcode on the medium, else the caller's, else the medium's serial number.
    fn name_volume(&mut self) -> Result<(), (String, &'static str)> {
        const ODD: &str =
            "the medium's memory holds an odd name; name the volume with --barcode, and have the cartridge looked at";
        let on_medium = match &self.volume.barcode {
            None => None,
            Some(barcode) => Some(
                VolumeName::new(barcode.trim_end())
                    .map_err(|error| (format!("barcode on the medium: {}", first_line(&error)), ODD))?,
            ),
        };
        let from_caller = match &self.wish {
            Wish::Load { barcode, .. } => barcode.clone(),
            _ => None,
        };
        if let (Some(found), Some(expected)) = (&on_medium, &from_caller)
            && found != expected
        {
            let text = format!("the volume in the drive has barcode {found}, not {expected}");
            return Err((text, "load the right cartridge, or leave --barcode out"));
        }
        if let (None, Some(barcode)) = (&on_medium, &from_caller) {
            self.changes.push(Change::Barcode(barcode.to_string()));
        }
        let by_serial = || {
            self.volume
                .medium_serial
                .as_ref()
                .and_then(|serial| VolumeName::new(serial.as_str()).ok())
        };
        self.volume_name = on_medium.or(from_caller).or_else(by_serial);
        match (&self.wish, &self.volume_name) {
            (Wish::Load { .. }, None) => {
                let text = "the volume has neither a barcode nor a usable medium serial number".to_owned();
                Err((text, "name it with --barcode"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn looked(&mut self, beginning: Beginning) -> Step {
        self.beginning = Some(beginning.clone());
        if let Some(kads) = self.tape_kads() {
            self.changes.push(Change::FirstBlock(kads));
        }
        match beginning {
            Beginning::Ours(kad) => self.fetch_known(kad),
            Beginning::Blank { evidence } => self.blank(&evidence),
            Beginning::Plain => self.plain_beginning(),
            Beginning::Foreign {
                unauthenticated_kad,
                authenticated_kad,
            } => {
                let kads = in_words(&unauthenticated_kad, &authenticated_kad);
                if self.is_unlock() {
                    let text = format!("the volume is encrypted under a KAD that is not ours: {kads}");
                    self.say(Level::Note, text, None);
                    return self.fetch_candidates(BlockKads {
                        unauthenticated: unauthenticated_kad,
                        authenticated: authenticated_kad,
                    });
                }
                let text = format!("the volume is encrypted under a KAD that is not ours: {kads}; no key was tried");
                self.refuse(
                    text,
                    "to read it, tapekey unlock; to use the cartridge anew, erase it with the software that wrote it",
                )
            }
            Beginning::OtherAlgorithm => {
                let text = "the volume is encrypted with an algorithm that this drive does not have";
                self.refuse(text, "use a drive of the generation that wrote it")
            }
            Beginning::NotAtBeginning { object } => {
                let text = format!("the tape stands at object {object}, so its beginning cannot be seen");
                self.refuse(text, "rewind it, as with mt rewind, and try again")
            }
            Beginning::Unknown { why } => {
                let text = format!("what stands at the beginning of the volume is unknown: {why}");
                self.refuse(
                    text,
                    "rewind and try again; a volume whose beginning cannot be read gets no key",
                )
            }
        }
    }

    fn blank(&mut self, evidence: &str) -> Step {
        match &self.wish {
            Wish::Load {
                pool: Some(Pool::Encrypted(group)),
                ..
            } => {
                let group = group.clone();
                self.say(Level::Note, format!("the volume is blank: {evidence}"), None);
                self.fetch_new(group)
            }
            Wish::Load { .. } => {
                let text = "the volume is blank, so only the caller can say which pool it belongs to";
                self.refuse(text, "name the pool, as --pool ENCR_daily")
            }
            _ => self.refuse(
                "the volume is blank: there is nothing to unlock",
                "use tapekey load for a backup",
            ),
        }
    }

    fn plain_beginning(&mut self) -> Step {
        match &self.wish {
            Wish::Load {
                pool: Some(Pool::Encrypted(group)),
                ..
            } if self.rules.plain_blocks.allowed_in(group.as_str()) => {
                let volume = self.volume.clone();
                self.ask(State::Recalling, Ask::KadOf(volume))
            }
            Wish::Load {
                pool: Some(Pool::Encrypted(group)),
                ..
            } => {
                let text = format!("the volume begins with plain blocks, and pool {group} takes only encrypted ones");
                let hint = "use another cartridge, erase this one, or set plain_blocks = \"allow\" for the pool";
                self.refuse(text, hint)
            }
            Wish::Load { .. } => {
                let text = "the volume begins with plain blocks, so only the caller can say which pool it belongs to";
                self.refuse(text, "name the pool, as --pool ENCR_daily")
            }
            _ => self.ask(State::CheckingStatistics, Ask::Proof),
        }
    }

    /// A plain beginning and a key of ours behind it: that very key again, never a second one.
    pub(super) fn recalled(&mut self, kad: Option<OurKad>) -> Step {
        self.decryption = Decryption::Mixed;
        match kad {
            Some(kad) => {
                self.say(
                    Level::Note,
                    "the volume begins with plain blocks; a job shows under which key it went on",
                    None,
                );
                self.fetch_known(kad)
            }
            None if self.is_unlock() => self.refuse(
                "the volume begins with plain blocks, and no job of this host names the key of those behind them",
                "unlock it on the host that wrote it: its job records name the key",
            ),
            None => self.ask(State::CheckingStatistics, Ask::Proof),
        }
    }

    /// A new key may follow plain blocks only where the drive shows that no encrypted ones do already; a known one is for reading only those.
    pub(super) fn statistics(&mut self, proof: &Proof) -> Step {
        match (proof, &self.wish) {
            (
                Proof::NothingEncrypted,
                Wish::Load {
                    pool: Some(Pool::Encrypted(group)),
                    ..
                },
            ) => {
                let group = group.clone();
                self.say(
                    Level::Note,
                    "the volume begins with plain blocks; they stay plain",
                    None,
                );
                self.fetch_new(group)
            }
            (Proof::NothingEncrypted, _) => self.refuse(
                "the volume begins with plain blocks and holds no encrypted ones: no key is needed to read them",
                "read it as it is",
            ),
            (_, Wish::Unlock | Wish::UnlockWith(_)) => {
                let volume = self.volume.clone();
                self.ask(State::Recalling, Ask::KadOf(volume))
            }
            _ => {
                let text = format!(
                    "the volume begins with plain blocks and may hold blocks of a key that no job names ({proof})"
                );
                self.refuse(text, "use another cartridge: no second key is started on a volume")
            }
        }
    }

    pub(super) fn plain_pool(&self) -> Option<&GroupName> {
        match &self.wish {
            Wish::Load {
                pool: Some(Pool::Plain(name)),
                ..
            } => Some(name),
            _ => None,
        }
    }
}

/// Both KADs in hex.
pub(super) fn in_words(unauthenticated_kad: &[u8], authenticated_kad: &[u8]) -> String {
    format!(
        "U-KAD {}, A-KAD {}",
        hex_or_none(unauthenticated_kad),
        hex_or_none(authenticated_kad)
    )
}

fn hex_or_none(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        "none".into()
    } else {
        hex::encode(bytes)
    }
}

fn first_line(error: &impl ToString) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
