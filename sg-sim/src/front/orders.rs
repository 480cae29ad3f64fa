//! The orders that a test can give running units, and how each is carried out (`PROTOCOL.md` 2.2).

use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::cli::ManagedArg;
use super::machine::{Machine, NoDrive};
use super::status::Status;
use crate::fault::{FaultRule, FaultRuleError};
use crate::{Absence, Cartridge, CartridgeError, Event, ItNexus, ItNexusError, LoadError, SenseCode, UnitKind};

/// One order with the unit that it is for, as the control socket writes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    /// The unit; without it the first, and any for a fault.
    pub(super) unit: Option<usize>,
    /// What is to be done.
    pub(super) request: Request,
}

impl Order {
    /// Reads a line without its line feed.
    ///
    /// # Errors
    /// It is not JSON, or not an order.
    pub(super) fn read(line: &[u8]) -> serde_json::Result<Self> {
        let mut members: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line)?;
        let unit = members.remove("unit").map(serde_json::from_value).transpose()?;
        let request = serde_json::from_value(members.into())?;
        Ok(Self { unit, request })
    }

    /// Writes a line without its line feed.
    ///
    /// # Errors
    /// It holds a path that is not text.
    pub(super) fn write(&self) -> serde_json::Result<Vec<u8>> {
        let mut order = serde_json::to_value(&self.request)?;
        if let (Some(members), Some(unit)) = (order.as_object_mut(), self.unit) {
            members.insert("unit".to_owned(), unit.into());
        }
        serde_json::to_vec(&order)
    }
}

/// What is to be done.
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
    /// There is no such drive, or it is at work.
    #[error(transparent)]
    NoDrive(#[from] NoDrive),
    /// A robot puts cartridges into the drives of a library.
    #[error("load or eject by hand: these drives are in a library\nhint: let its changer do it, as with mtx")]
    Robot,
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

/// Carries out `order`; the status if it asked for one.
///
/// # Errors
/// What the order needs is not there.
pub(super) fn carry_out(machine: &Machine, order: Order) -> Result<Option<Status>, RefusedOrder> {
    let unit = order.unit.unwrap_or(0);
    let absent = |absence| absent(machine, unit, absence);
    if unit >= machine.kinds().len() {
        return Err(absent(Absence::NoSuchUnit));
    }
    match order.request {
        Request::Status { nexus } => {
            let nexus = nexus.map(|name| ItNexus::new(&name)).transpose()?;
            return Ok(Some(Status::of(machine, unit, nexus.as_ref())?));
        }
        Request::Hang { on } => machine.set_hang(unit, on),
        Request::LibraryManaged { mode } => {
            machine.with_drive(unit, |drive| drive.quirks().library_managed = mode.into())?;
        }
        Request::RefuseSpout { sense } => {
            let code = sense_or_off(&sense)?;
            machine.with_drive(unit, |drive| drive.quirks().refuse_security_protocol_out = code)?;
        }
        Request::TransportError {
            host_status,
            count,
            executed,
        } => {
            machine.set_transport(unit, NonZeroU8::new(host_status), count, executed);
        }
        Request::KeyDropped {} => machine.with_drive(unit, |drive| drive.apply(Event::KeyDropped))?,
        Request::AnotherNexusSetsAKey {} => {
            machine.with_drive(unit, |drive| drive.apply(Event::KeySetByAnotherNexus))?
        }
        Request::Reset {} => machine.reset(unit).map_err(absent)?,
        Request::PowerCycle {} => machine.interrupt(unit, &Event::PowerCycle).map_err(absent)?,
        Request::NexusLoss { nexus } => {
            let nexus = ItNexus::new(&nexus)?;
            machine.apply(unit, &Event::ItNexusLoss(nexus)).map_err(absent)?;
        }
        Request::Load { file } => load(machine, unit, file)?,
        Request::Eject {} => eject(machine, unit)?,
        Request::Fault(mut rule) => {
            rule.at.unit = rule.at.unit.or(order.unit);
            rule.check(machine.kinds().len())?;
            machine.arm(rule);
        }
        Request::ClearFaults {} => machine.disarm(),
        Request::Advance { milliseconds } => {
            machine.with_drive(unit, |drive| drive.let_pass(Duration::from_millis(milliseconds)))?;
        }
    }
    Ok(None)
}

fn absent(machine: &Machine, unit: usize, absence: Absence) -> RefusedOrder {
    match absence {
        Absence::Busy => NoDrive::Busy { unit },
        Absence::NoSuchUnit => NoDrive::NoSuchUnit {
            unit,
            last: machine.kinds().len().saturating_sub(1),
        },
    }
    .into()
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

fn load(machine: &Machine, unit: usize, file: PathBuf) -> Result<(), RefusedOrder> {
    by_hand(machine)?;
    if !file.is_absolute() {
        return Err(RefusedOrder::RelativePath { file });
    }
    // Opened before the drive is taken: reading the index of a full cartridge takes a while.
    let cartridge = Cartridge::open(&file)?;
    Ok(machine.with_drive(unit, |drive| drive.load(cartridge))??)
}

fn eject(machine: &Machine, unit: usize) -> Result<(), RefusedOrder> {
    by_hand(machine)?;
    let cartridge = machine.with_drive(unit, crate::Drive::eject)?;
    cartridge.map(drop).ok_or(RefusedOrder::Empty)
}

/// A hand would take a cartridge from under the robot's eyes.
fn by_hand(machine: &Machine) -> Result<(), RefusedOrder> {
    if machine.kinds().contains(&UnitKind::Changer) {
        Err(RefusedOrder::Robot)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{Drive, Profile, SeededRandomness};

    fn machine() -> Machine {
        let drive = Drive::new(Profile::ibm_lto8(), Box::new(SeededRandomness::new(1)));
        Machine::new(Arc::new(Mutex::new(drive)))
    }

    fn obey(machine: &Machine, request: Request) -> Result<Option<Status>, RefusedOrder> {
        carry_out(machine, Order { unit: None, request })
    }

    #[test]
    fn an_order_comes_back_from_its_own_text() {
        for unit in [None, Some(2)] {
            let order = Order {
                unit,
                request: Request::Hang { on: true },
            };
            assert_eq!(Order::read(&order.write().unwrap()).unwrap(), order);
        }
    }

    #[test]
    fn an_order_for_a_unit_that_is_not_there_is_refused() {
        let machine = machine();
        let rule: FaultRule = serde_json::from_str(r#"{"at":{"unit":1},"do":{"what":"reset"}}"#).unwrap();
        for (unit, request) in [(Some(1), Request::Hang { on: true }), (None, Request::Fault(rule))] {
            let refused = carry_out(&machine, Order { unit, request }).unwrap_err();
            assert!(refused.to_string().contains("there is no unit 1"), "{refused}");
        }
    }

    #[test]
    fn a_reset_ends_a_hang() {
        for request in [Request::Reset {}, Request::PowerCycle {}] {
            let machine = machine();
            obey(&machine, Request::Hang { on: true }).unwrap();
            obey(&machine, request).unwrap();
            assert_eq!(machine.hang(0), (false, 0));
        }
    }

    #[test]
    fn an_order_that_cannot_be_carried_out_says_why() {
        let machine = machine();
        let refused = |request| obey(&machine, request).unwrap_err();
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
        obey(&machine, Request::Hang { on: true }).unwrap();
        obey(&machine, Request::LibraryManaged { mode: ManagedArg::Cfgp }).unwrap();
        obey(
            &machine,
            Request::RefuseSpout {
                sense: "07/26/10".to_owned(),
            },
        )
        .unwrap();
        let status = obey(&machine, Request::Status { nexus: None }).unwrap().unwrap();
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(
            (&json["hang"], &json["library_managed"], &json["refuse_spout"]),
            (&true.into(), &"cfgp".into(), &"07/26/10".into())
        );
        obey(
            &machine,
            Request::RefuseSpout {
                sense: "off".to_owned(),
            },
        )
        .unwrap();
        let status = obey(&machine, Request::Status { nexus: None }).unwrap().unwrap();
        assert_eq!(serde_json::to_value(&status).unwrap()["refuse_spout"], "off");
    }
}
