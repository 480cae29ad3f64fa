//! What the drive keeps for each nexus: unit attentions and its own view of encryption (SAM-5; SSC-4, "Data encryption parameters scope").

use super::encryption::{ParameterSet, Scope};
use crate::{ItNexus, SenseCode};
use std::collections::{BTreeMap, VecDeque};

/// How many nexuses the drive can keep apart.
const NEXUSES_MAX: usize = 256;

/// Power on, reset, or bus device reset occurred.
pub(super) const POWER_ON: SenseCode = SenseCode::new(0x6, 0x29, 0x00);
/// I_T nexus loss occurred.
pub(super) const NEXUS_LOSS: SenseCode = SenseCode::new(0x6, 0x29, 0x07);
/// Not ready to ready change, medium may have changed.
pub(super) const MEDIUM_CHANGED: SenseCode = SenseCode::new(0x6, 0x28, 0x00);
/// Timestamp changed.
pub(super) const TIMESTAMP_CHANGED: SenseCode = SenseCode::new(0x6, 0x2A, 0x10);
/// Mode parameters changed.
pub(super) const MODE_CHANGED: SenseCode = SenseCode::new(0x6, 0x2A, 0x01);
/// Data encryption parameters changed by another I_T nexus.
pub(super) const CHANGED_BY_ANOTHER: SenseCode = SenseCode::new(0x6, 0x2A, 0x11);
/// Data encryption parameters changed by vendor-specific event.
pub(super) const CHANGED_BY_VENDOR: SenseCode = SenseCode::new(0x6, 0x2A, 0x12);

/// What the drive keeps for one nexus.
#[derive(Default)]
pub(super) struct NexusState {
    unit_attentions: VecDeque<SenseCode>,
    /// It asked that the medium stay in the drive.
    pub(super) prevents_removal: bool,
    /// Its saved scope.
    pub(super) scope: Scope,
    /// Its own set of encryption parameters, in force while its scope is LOCAL.
    pub(super) local: Option<ParameterSet>,
    /// LOCK: the key instance counter that it is tied to.
    pub(super) lock: Option<u32>,
    /// It is told when encryption parameters change.
    pub(super) registered: bool,
}

impl NexusState {
    /// Queues a unit attention, unless the same one is waiting.
    pub(super) fn attend(&mut self, unit_attention: SenseCode) {
        if !self.unit_attentions.contains(&unit_attention) {
            self.unit_attentions.push_back(unit_attention);
        }
    }

    /// Takes the oldest unit attention.
    pub(super) fn take_unit_attention(&mut self) -> Option<SenseCode> {
        self.unit_attentions.pop_front()
    }

    /// Forgets everything, as after power on, and queues this one unit attention.
    pub(super) fn reset(&mut self, unit_attention: SenseCode) {
        *self = Self::default();
        self.attend(unit_attention);
    }

    /// Forgets everything but scope and set, and queues this one unit attention.
    pub(super) fn reset_keeping_keys(&mut self, unit_attention: SenseCode) {
        let (scope, local) = (self.scope, self.local.take());
        self.reset(unit_attention);
        (self.scope, self.local) = (scope, local);
    }
}

/// All nexuses that were ever seen.
#[derive(Default)]
pub(super) struct Nexuses {
    known: BTreeMap<ItNexus, NexusState>,
}

impl Nexuses {
    /// The state of `nexus`; a new one is told what `welcome` says. None if there are too many.
    pub(super) fn admit(
        &mut self,
        nexus: &ItNexus,
        welcome: impl IntoIterator<Item = SenseCode>,
    ) -> Option<&mut NexusState> {
        if !self.known.contains_key(nexus) {
            if self.known.len() >= NEXUSES_MAX {
                return None;
            }
            let mut state = NexusState::default();
            welcome
                .into_iter()
                .for_each(|unit_attention| state.attend(unit_attention));
            self.known.insert(nexus.clone(), state);
        }
        self.known.get_mut(nexus)
    }

    /// The state of a nexus that was seen.
    pub(super) fn find(&self, nexus: &ItNexus) -> Option<&NexusState> {
        self.known.get(nexus)
    }

    /// The state of a nexus that was seen.
    pub(super) fn find_mut(&mut self, nexus: &ItNexus) -> Option<&mut NexusState> {
        self.known.get_mut(nexus)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &NexusState> {
        self.known.values()
    }

    /// All of them.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut NexusState> {
        self.known.values_mut()
    }

    /// All but one.
    pub(super) fn others_mut(&mut self, nexus: &ItNexus) -> impl Iterator<Item = &mut NexusState> {
        self.known
            .iter_mut()
            .filter(move |(name, _)| *name != nexus)
            .map(|(_, state)| state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_each_unit_attention_once_and_in_order() {
        let mut state = NexusState::default();
        for unit_attention in [POWER_ON, MEDIUM_CHANGED, POWER_ON] {
            state.attend(unit_attention);
        }
        assert_eq!(state.take_unit_attention(), Some(POWER_ON));
        assert_eq!(state.take_unit_attention(), Some(MEDIUM_CHANGED));
        assert_eq!(state.take_unit_attention(), None);
    }

    #[test]
    fn admits_a_limited_number_and_keeps_those_it_knows() {
        let mut nexuses = Nexuses::default();
        let named = |number: usize| ItNexus::new(&format!("n{number}")).unwrap();
        for number in 0..NEXUSES_MAX {
            assert!(nexuses.admit(&named(number), [POWER_ON]).is_some());
        }
        assert!(nexuses.admit(&named(NEXUSES_MAX), []).is_none());
        assert!(nexuses.admit(&named(0), []).is_some());
    }
}
