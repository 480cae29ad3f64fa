//! What the changer keeps for each I_T nexus: unit attentions and PREVENT (SAM-5, "Unit attention condition").

use crate::{ItNexus, SenseCode};
use std::collections::{BTreeMap, VecDeque};

/// How many nexuses the changer can keep apart.
const NEXUSES_MAX: usize = 256;

/// Power on, reset, or bus device reset occurred.
const POWER_ON: SenseCode = SenseCode::new(0x6, 0x29, 0x00);
/// Bus device reset function occurred: what SAM-5 has a LOGICAL UNIT RESET told as.
const RESET: SenseCode = SenseCode::new(0x6, 0x29, 0x03);
/// I_T nexus loss occurred.
const NEXUS_LOSS: SenseCode = SenseCode::new(0x6, 0x29, 0x07);
/// Import or export element accessed.
const IMPORT_EXPORT_ACCESSED: SenseCode = SenseCode::new(0x6, 0x28, 0x01);

/// What the changer keeps for one nexus.
#[derive(Default)]
pub(super) struct NexusState {
    unit_attentions: VecDeque<SenseCode>,
    /// It asked that the import/export station stay shut.
    pub(super) prevents_removal: bool,
}

impl NexusState {
    fn attend(&mut self, unit_attention: SenseCode) {
        if !self.unit_attentions.contains(&unit_attention) {
            self.unit_attentions.push_back(unit_attention);
        }
    }

    fn begin_again(&mut self, unit_attention: SenseCode) {
        *self = Self::default();
        self.attend(unit_attention);
    }

    /// Takes the oldest unit attention.
    pub(super) fn take_unit_attention(&mut self) -> Option<SenseCode> {
        self.unit_attentions.pop_front()
    }
}

/// All nexuses that were ever seen.
#[derive(Default)]
pub(super) struct Nexuses {
    known: BTreeMap<ItNexus, NexusState>,
}

impl Nexuses {
    /// The state of `nexus`; a new one is told of power on. None if there are too many.
    pub(super) fn admit(&mut self, nexus: &ItNexus) -> Option<&mut NexusState> {
        if !self.known.contains_key(nexus) {
            if self.known.len() >= NEXUSES_MAX {
                return None;
            }
            let mut state = NexusState::default();
            state.attend(POWER_ON);
            self.known.insert(nexus.clone(), state);
        }
        self.known.get_mut(nexus)
    }

    /// Tells every nexus that an operator used the import/export station.
    pub(super) fn import_export_accessed(&mut self) {
        self.known
            .values_mut()
            .for_each(|nexus| nexus.attend(IMPORT_EXPORT_ACCESSED));
    }

    /// A reset: every nexus is told, and nobody holds the station shut.
    pub(super) fn reset(&mut self) {
        self.known.values_mut().for_each(|nexus| nexus.begin_again(RESET));
    }

    /// Power off and on: as a reset, told by another name.
    pub(super) fn power_on(&mut self) {
        self.known.values_mut().for_each(|nexus| nexus.begin_again(POWER_ON));
    }

    /// The changer lost sight of `nexus`: that one is told, and no longer holds the station shut.
    pub(super) fn lose(&mut self, nexus: &ItNexus) {
        if let Some(state) = self.known.get_mut(nexus) {
            state.begin_again(NEXUS_LOSS);
        }
    }

    /// Whether somebody holds the station shut.
    pub(super) fn prevent_removal(&self) -> bool {
        self.known.values().any(|nexus| nexus.prevents_removal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_a_limited_number_and_keeps_those_it_knows() {
        let mut nexuses = Nexuses::default();
        let named = |number: usize| ItNexus::new(&format!("n{number}")).unwrap();
        for number in 0..NEXUSES_MAX {
            assert!(nexuses.admit(&named(number)).is_some());
        }
        assert!(nexuses.admit(&named(NEXUSES_MAX)).is_none());
        assert!(nexuses.admit(&named(0)).is_some());
    }

    #[test]
    fn forgets_prevent_and_older_unit_attentions_at_a_reset() {
        let mut nexuses = Nexuses::default();
        let nexus = ItNexus::new("host1").unwrap();
        nexuses.admit(&nexus).unwrap().prevents_removal = true;
        nexuses.import_export_accessed();
        nexuses.reset();
        assert!(!nexuses.prevent_removal());
        let state = nexuses.admit(&nexus).unwrap();
        assert_eq!(state.take_unit_attention(), Some(RESET));
        assert_eq!(state.take_unit_attention(), None);
    }
}
