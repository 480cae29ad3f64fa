//! Commands that move cartridges, or would if the robot needed time: MOVE, EXCHANGE, POSITION, INITIALIZE, PREVENT (SMC-3).

use super::{Bay, Changer};
use crate::{
    drive::call::{Call, CommandResult},
    library::{place::ElementType, robot::Step},
    sense::Sense,
};

impl Changer {
    /// MOVE MEDIUM.
    pub(super) fn move_medium(&mut self, bays: &[Bay], call: &Call<'_>) -> CommandResult {
        const INVERT: u8 = 0;
        if call.cdb.bit(10, INVERT) {
            return Err(Sense::invalid_cdb_field(10, INVERT).into());
        }
        self.check_transport(call.cdb.u16(2))?;
        let (from, to) = (self.holder(call.cdb.u16(4))?, self.holder(call.cdb.u16(6))?);
        self.check_full(from)?;
        self.check_empty(to)?;
        self.robot.carry(bays, &[Step { from, to }])?;
        Ok(0)
    }

    /// EXCHANGE MEDIUM: what is in the first destination makes room and goes to the second, which may be the source.
    pub(super) fn exchange_medium(&mut self, bays: &[Bay], call: &Call<'_>) -> CommandResult {
        const INVERT_1: u8 = 1;
        const INVERT_2: u8 = 0;
        for bit in [INVERT_1, INVERT_2] {
            if call.cdb.bit(10, bit) {
                return Err(Sense::invalid_cdb_field(10, bit).into());
            }
        }
        self.check_transport(call.cdb.u16(2))?;
        let source = self.holder(call.cdb.u16(4))?;
        let (first, second) = (self.holder(call.cdb.u16(6))?, self.holder(call.cdb.u16(8))?);
        self.check_full(source)?;
        self.check_full(first)?;
        if first == source {
            return Err(DESTINATION_FULL.into());
        }
        if second != source {
            self.check_empty(second)?;
        }
        let steps = [
            Step {
                from: source,
                to: first,
            },
            Step {
                from: first,
                to: second,
            },
        ];
        self.robot.carry(bays, &steps)?;
        Ok(0)
    }

    /// POSITION TO ELEMENT: the robot is everywhere at once, so only the addresses matter.
    pub(super) fn position_to_element(&self, call: &Call<'_>) -> CommandResult {
        const INVERT: u8 = 0;
        if call.cdb.bit(8, INVERT) {
            return Err(Sense::invalid_cdb_field(8, INVERT).into());
        }
        self.check_transport(call.cdb.u16(2))?;
        self.robot.find(call.cdb.u16(4)).ok_or(INVALID_ELEMENT_ADDRESS)?;
        Ok(0)
    }

    /// INITIALIZE ELEMENT STATUS, with and without range: the inventory is always right.
    pub(super) fn initialize_element_status(&self, call: &Call<'_>) -> CommandResult {
        const INITIALIZE_ELEMENT_STATUS: u8 = 0x07;
        const RANGE: u8 = 0;
        let ranged = call.cdb.byte(0) != INITIALIZE_ELEMENT_STATUS && call.cdb.bit(1, RANGE);
        if ranged {
            self.robot.find(call.cdb.u16(2)).ok_or(INVALID_ELEMENT_ADDRESS)?;
        }
        Ok(0)
    }

    /// PREVENT ALLOW MEDIUM REMOVAL: holds the import/export station shut.
    pub(super) fn prevent_allow(&mut self, call: &Call<'_>) -> CommandResult {
        let prevent = call.cdb.byte(4) & 0x03;
        if prevent > 1 {
            return Err(Sense::invalid_cdb_field(4, 1).into());
        }
        if let Some(nexus) = self.nexuses.admit(call.nexus) {
            nexus.prevents_removal = prevent == 1;
        }
        Ok(0)
    }

    /// Accepts a transport's address, or 0 for whichever the library likes.
    fn check_transport(&self, address: u16) -> Result<(), Sense> {
        let is_transport = |index| {
            self.robot
                .element(index)
                .is_some_and(|element| element.place.element_type() == ElementType::MediumTransport)
        };
        if address == 0 || self.robot.find(address).is_some_and(is_transport) {
            Ok(())
        } else {
            Err(INVALID_ELEMENT_ADDRESS)
        }
    }

    /// The element that can keep a cartridge and has this address.
    fn holder(&self, address: u16) -> Result<usize, Sense> {
        let index = self.robot.find(address).ok_or(INVALID_ELEMENT_ADDRESS)?;
        let keeps = self
            .robot
            .element(index)
            .is_some_and(|element| element.place.element_type() != ElementType::MediumTransport);
        if keeps { Ok(index) } else { Err(INVALID_ELEMENT_ADDRESS) }
    }

    fn is_full(&self, index: usize) -> bool {
        self.robot
            .element(index)
            .is_some_and(|element| element.volume.is_some())
    }

    fn check_full(&self, index: usize) -> Result<(), Sense> {
        if self.is_full(index) { Ok(()) } else { Err(SOURCE_EMPTY) }
    }

    fn check_empty(&self, index: usize) -> Result<(), Sense> {
        if self.is_full(index) {
            Err(DESTINATION_FULL)
        } else {
            Ok(())
        }
    }
}

const INVALID_ELEMENT_ADDRESS: Sense = Sense::new(0x5, 0x21, 0x01);
const DESTINATION_FULL: Sense = Sense::new(0x5, 0x3B, 0x0D);
const SOURCE_EMPTY: Sense = Sense::new(0x5, 0x3B, 0x0E);
