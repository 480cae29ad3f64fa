//! The orders that a test can give a running drive, and how each is carried out (`PROTOCOL.md` 2.2).

use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::cli::ManagedArg;
use super::machine::{Broken, Machine};
use super::status::Status;
use crate::fault::{FaultRule, FaultRuleError};
use crate::{Cartridge, CartridgeError, Event, ItNexus, ItNexusError, LoadError, SenseCode};

/// One order, as the control socket writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Request {
    /// What the drive holds, and the modes in force for `nexus` or for one without parameters of its own.
    Status {
        /// Whose modes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nexus: Option<String>,
    },
    /// SCSI commands wait, or go on.
    Hang {
        /// Whether they wait.
        on: bool,
    },
    /// Who owns encryption.
    LibraryManaged {
        /// The owner, and how a library shows it.
        mode: ManagedArg,
    },
    /// Every SPOUT ends with this sense.
    RefuseSpout {
        /// "off", or key/asc/ascq.
        sense: String,
    },
    /// The next commands end without SCSI status.
    TransportError {
        /// Linux host byte; 0 takes the order back.
        host_status: u8,
        /// How many commands.
        #[serde(default = "one")]
        count: u32,
        /// Whether the drive executes them first.
        #[serde(default)]
        executed: bool,
    },
    /// The drive loses its key.
    KeyDropped {},
    /// A reset.
    Reset {},
    /// I_T nexus loss.
    NexusLoss {
        /// Which nexus.
        nexus: String,
    },
    /// Somebody else sets a key for all nexuses.
    AnotherNexusSetsAKey {},
    /// Power off and on.
    PowerCycle {},
    /// A cartridge goes in.
    Load {
        /// Absolute path of its file.
        file: PathBuf,
    },
    /// The cartridge comes out.
    Eject {},
    /// Something goes wrong with a command to come.
    Fault(FaultRule),
    /// Nothing goes wrong any more.
    ClearFaults {},
    /// The drive's time goes on, if it goes at all.
    Advance {
        /// By how much.
        milliseconds: u64,
    },
}

const fn one() -> u32 {
    1
}

/// Why an order was understood and not carried out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(super) enum RefusedOrder {
    /// A bug stopped the drive.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// Not the name of a nexus.
    #[error(transparent)]
    Nexus(#[from] ItNexusError),
    /// Not a sense code.
    #[error("refuse SPOUT with sense {sense:?}: not key/asc/ascq\nhint: write it like 05/24/00, or off")]
    Sense {
        /// What was given.
        sense: String,
    },
    /// The path depends on the server's folder.
    #[error("load {file}: not an absolute path\nhint: the server may run in another folder; give the whole path")]
    RelativePath {
        /// What was given.
        file: PathBuf,
    },
    /// The file is not a cartridge that can be used.
    #[error(transparent)]
    Cartridge(#[from] CartridgeError),
    /// The drive does not take it.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A fault that can never strike, or contradicts itself.
    #[error("set up a fault: {0}")]
    Fault(#[from] FaultRuleError),
    /// There is nothing to take out.
    #[error("eject: the drive is empty")]
    Empty,
}

/// Carries out `request`; the status if it asked for one.
///
/// # Errors
/// What the order needs is not there.
pub(super) fn carry_out(machine: &Machine, request: Request) -> Result<Option<Status>, RefusedOrder> {
    match request {
        Request::Status { nexus } => {
            let nexus = nexus.map(|name| ItNexus::new(&name)).transpose()?;
            return Ok(Some(Status::of(machine, nexus.as_ref())?));
        }
        Request::Hang { on } => machine.set_hang(on),
        Request::LibraryManaged { mode } => machine.drive()?.quirks().library_managed = mode.into(),
        Request::RefuseSpout { sense } => {
            let code = sense_or_off(&sense)?;
            machine.drive()?.quirks().refuse_security_protocol_out = code;
        }
        Request::TransportError {
            host_status,
            count,
            executed,
        } => {
            machine.set_transport(NonZeroU8::new(host_status), count, executed);
        }
        Request::KeyDropped {} => machine.drive()?.apply(Event::KeyDropped),
        Request::Reset {} => machine.drive()?.apply(Event::Reset),
        Request::NexusLoss { nexus } => {
            let nexus = ItNexus::new(&nexus)?;
            machine.drive()?.apply(Event::ItNexusLoss(nexus));
        }
        Request::AnotherNexusSetsAKey {} => machine.drive()?.apply(Event::KeySetByAnotherNexus),
        Request::PowerCycle {} => machine.drive()?.apply(Event::PowerCycle),
        Request::Load { file } => load(machine, file)?,
        Request::Fault(rule) => {
            rule.check()?;
            machine.arm(rule);
        }
        Request::ClearFaults {} => machine.disarm(),
        Request::Advance { milliseconds } => machine.drive()?.let_pass(Duration::from_millis(milliseconds)),
        Request::Eject {} => drop(machine.drive()?.eject().ok_or(RefusedOrder::Empty)?),
    }
    Ok(None)
}

fn sense_or_off(sense: &str) -> Result<Option<SenseCode>, RefusedOrder> {
    match sense {
        "off" => Ok(None),
        code => code
            .parse()
            .map(Some)
            .map_err(|_| RefusedOrder::Sense { sense: code.to_owned() }),
    }
}

fn load(machine: &Machine, file: PathBuf) -> Result<(), RefusedOrder> {
    if !file.is_absolute() {
        return Err(RefusedOrder::RelativePath { file });
    }
    // Opened before the drive is taken: reading the index of a full cartridge takes a while.
    let cartridge = Cartridge::open(&file)?;
    Ok(machine.drive()?.load(cartridge)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Drive, Profile, SeededRandomness};

    fn machine() -> Machine {
        Machine::new(Drive::new(Profile::ibm_lto8(), Box::new(SeededRandomness::new(1))))
    }

    #[test]
    fn an_order_that_cannot_be_carried_out_says_why() {
        let machine = machine();
        let refused = |request| carry_out(&machine, request).unwrap_err();
        assert!(matches!(refused(Request::Eject {}), RefusedOrder::Empty));
        assert!(matches!(
            refused(Request::NexusLoss {
                nexus: "a b".to_owned()
            }),
            RefusedOrder::Nexus(_)
        ));
        assert!(matches!(
            refused(Request::RefuseSpout {
                sense: "5/24/0".to_owned()
            }),
            RefusedOrder::Sense { .. }
        ));
        assert!(matches!(
            refused(Request::Load { file: "a.cart".into() }),
            RefusedOrder::RelativePath { .. }
        ));
        assert!(matches!(
            refused(Request::Load {
                file: "/no/such/file".into()
            }),
            RefusedOrder::Cartridge(_)
        ));
    }

    #[test]
    fn switches_show_in_the_status() {
        let machine = machine();
        carry_out(&machine, Request::Hang { on: true }).unwrap();
        carry_out(&machine, Request::LibraryManaged { mode: ManagedArg::Cfgp }).unwrap();
        carry_out(
            &machine,
            Request::RefuseSpout {
                sense: "07/26/10".to_owned(),
            },
        )
        .unwrap();
        let status = carry_out(&machine, Request::Status { nexus: None }).unwrap().unwrap();
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(
            (&json["hang"], &json["library_managed"], &json["refuse_spout"]),
            (&true.into(), &"cfgp".into(), &"07/26/10".into())
        );
        carry_out(
            &machine,
            Request::RefuseSpout {
                sense: "off".to_owned(),
            },
        )
        .unwrap();
        let status = carry_out(&machine, Request::Status { nexus: None }).unwrap().unwrap();
        assert_eq!(serde_json::to_value(&status).unwrap()["refuse_spout"], "off");
    }
}
