//! Every transition and every refusal of the state machine, driven by hand: no drive, no KMS, no clock.

mod candidates;
mod clearing;
mod failing;
mod given;
mod keys;
mod looking;
mod plain;
mod scan;

use super::*;
use crate::controller::step::Receipt;
use crate::drive::{DecryptionMode, EncryptionMode, KeyInForce, Proof, Scope};
use crate::kad::{KeyId, OurKad};
use crate::keysource::{GroupName, KeyFacts, KeyServer, KeyState};
use crate::kms_api::KeyServerKind;
use crate::secret::DataKey;

/// An operation and all that it said.
struct Play {
    operation: Operation,
    changes: Vec<Change>,
    next: Next,
}

impl Play {
    fn begin(wish: Wish, rules: Rules) -> Self {
        let mut operation = Operation::new(wish, rules);
        let Step { changes, next } = operation.start();
        Self {
            operation,
            changes,
            next,
        }
    }

    fn load(pool: Option<&str>) -> Self {
        let pool = pool.map(|pool| Pool::parse(pool).unwrap());
        Self::begin(Wish::Load { pool, barcode: None }, rules())
    }

    /// Answers what is asked now.
    fn tell(mut self, event: Event) -> Self {
        let Step { changes, next } = self.operation.handle(event);
        self.changes.extend(changes);
        self.next = next;
        self
    }

    /// Answers everything up to the look at the beginning, with the volume V1.
    fn at_the_beginning(self) -> Self {
        let play = self.tell(identity()).tell(ready()).tell(volume());
        assert_eq!(play.next, Next::Ask(Ask::Offer));
        let play = play.tell(Event::Offered);
        assert_eq!(play.next, Next::Ask(Ask::Beginning));
        play
    }

    /// Answers everything up to the loading of a new key on a blank volume.
    fn loading() -> Self {
        let play = Self::load(Some("ENCR_a"))
            .at_the_beginning()
            .tell(blank())
            .tell(Event::NewKey(facts(1, "ENCR_a")));
        assert!(matches!(play.next, Next::Ask(Ask::LoadKey(_))), "{:?}", play.next);
        play
    }

    /// Everything that was said, in one text.
    fn said(&self) -> String {
        let messages = self.changes.iter().filter_map(|change| match change {
            Change::Message { level, text, hint } => {
                Some(format!("{level}: {text} / {}", hint.as_deref().unwrap_or("-")))
            }
            _ => None,
        });
        messages.collect::<Vec<_>>().join("\n")
    }

    /// It was refused for this reason, with a remedy, after a look at what the drive holds; no key was sent.
    #[track_caller]
    fn must_be_refused(self, reason: &str) {
        let play = match self.next {
            Next::Ask(Ask::InForce) => self.tell(Event::InForce(in_force(None, 1))),
            _ => self,
        };
        assert_eq!(play.next, Next::End(Outcome::Refused), "{}", play.said());
        let said = play.said();
        let error = said
            .lines()
            .find(|line| line.contains(reason) && line.starts_with("error: "));
        assert!(
            error.is_some_and(|line| !line.ends_with("/ -")),
            "{reason:?} with a remedy is not in:\n{said}"
        );
        assert!(
            !play.changes.iter().any(|change| matches!(change, Change::InForce(_))),
            "nothing was loaded"
        );
    }
}

fn rules() -> Rules {
    Rules {
        expected_serial: None,
        finish_volumes: true,
        scope: SetScope::AllItNexus,
        plain_blocks: PlainBlocks {
            otherwise: false,
            named: vec![("ENCR_mixed".into(), true)],
        },
    }
}

fn identity() -> Event {
    Event::Identity(DriveIdentity {
        vendor: "IBM".into(),
        product: "ULT3580-TD8".into(),
        revision: "N9M1".into(),
        serial: "D1".into(),
        designators: Vec::new(),
    })
}

fn ready() -> Event {
    Event::Readiness(Readiness::Ready)
}

fn named_volume(serial: Option<&str>, barcode: Option<&str>, pool: Option<&str>) -> Event {
    Event::Volume(VolumeIdentity {
        medium_serial: serial.map(Into::into),
        barcode: barcode.map(Into::into),
        pool: pool.map(Into::into),
        cleaning: false,
    })
}

fn volume() -> Event {
    named_volume(Some("V1"), Some("A00001L8"), None)
}

fn blank() -> Event {
    Event::Beginning(Beginning::Blank {
        evidence: "BLANK CHECK".into(),
    })
}

fn ours(byte: u8) -> Event {
    Event::Beginning(Beginning::Ours(kad(byte)))
}

fn kad(byte: u8) -> OurKad {
    OurKad::derived(KeyId([byte; 16]), [byte; 6], &DataKey::take(&mut [byte; 32]))
}

fn facts_in_state(byte: u8, group: &str, state: KeyState) -> KeyFacts {
    KeyFacts {
        kad: kad(byte),
        key_name: format!("key-{byte}"),
        group: GroupName::new(group).unwrap(),
        state,
        server: KeyServer {
            name: "built-in".into(),
            kind: KeyServerKind::BuiltIn,
            address: "https://kms1:8443".into(),
            server_address: None,
            priority: None,
            cached: false,
            fallback: false,
            took_ms: 3,
            protocol_version: None,
            identifier: None,
        },
        asked: Vec::new(),
    }
}

fn facts(byte: u8, group: &str) -> KeyFacts {
    facts_in_state(byte, group, KeyState::Active)
}

fn keys(facts: KeyFacts) -> Event {
    Event::KeysOf {
        keys: vec![facts],
        candidates: Vec::new(),
        wrong: Vec::new(),
        outcomes: Vec::new(),
    }
}

fn in_force(kad: Option<OurKad>, key_instance_counter: u32) -> KeyInForce {
    let (encryption_mode, decryption_mode) = match kad {
        Some(_) => (EncryptionMode::Encrypt, DecryptionMode::Decrypt),
        None => (EncryptionMode::Disable, DecryptionMode::Disable),
    };
    KeyInForce {
        encryption_mode,
        decryption_mode,
        key_scope: Scope::AllItNexus,
        algorithm_index: 1,
        key_instance_counter,
        unauthenticated_kad: kad.map(|kad| kad.encode().to_vec()).unwrap_or_default(),
        authenticated_kad: Vec::new(),
    }
}

fn receipt(byte: u8) -> Event {
    Event::Loaded(Receipt::for_test(in_force(Some(kad(byte)), 5), &[]))
}

fn failure(kind: FailureKind) -> Event {
    Event::Failed(Failure {
        text: "it went wrong".into(),
        hint: Some("mend it".into()),
        kind,
    })
}
