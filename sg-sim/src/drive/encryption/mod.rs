//! Data encryption: who set which key, for whom, and what removes it (SSC-4, "Data encryption parameters").
//!
//! One set may be shared by all nexuses; each nexus with scope LOCAL may have its own. The key instance counter rises with every change. This
//! room must never touch the tape and never let a key out.

mod kad;
mod outcome;
mod parameters;
mod set_page;
mod spin;
mod spout;
mod status;

pub(super) use outcome::{Refusal, deliver};
pub(crate) use parameters::{EncryptionMode, ParameterSet, Scope};

use super::nexuses::{CHANGED_BY_ANOTHER, CHANGED_BY_VENDOR, NexusState, Nexuses};
use crate::{
    EncryptionProfile, ItNexus, LibraryManaged, Quirks, cartridge::SealAttributes, cipher::BlockKey, sense::Sense,
};
use set_page::SetDataEncryption;

/// The drive's part of encryption; each nexus' part is in [`NexusState`].
#[derive(Default)]
pub(super) struct Encryption {
    shared: Option<ParameterSet>,
    key_instance_counter: u32,
    wrong_keys: u32,
    owned_outside: bool,
}

impl Encryption {
    /// The set in force for a nexus.
    pub(super) fn in_force<'a>(&'a self, nexus: &'a NexusState) -> Option<&'a ParameterSet> {
        if nexus.scope == Scope::Local {
            nexus.local.as_ref()
        } else {
            self.shared.as_ref()
        }
    }

    /// The set in force for a nexus.
    pub(super) fn in_force_mut<'a>(&'a mut self, nexus: &'a mut NexusState) -> Option<&'a mut ParameterSet> {
        if nexus.scope == Scope::Local {
            nexus.local.as_mut()
        } else {
            self.shared.as_mut()
        }
    }

    /// Key instance counter of the set in force for a nexus, or of the drive if none is.
    pub(super) fn counter_in_force(&self, nexus: &NexusState) -> u32 {
        self.in_force(nexus)
            .map_or(self.key_instance_counter, |set| set.key_instance_counter)
    }

    /// Modes in force for a nexus that has set none itself.
    pub(super) fn shared(&self) -> Option<&ParameterSet> {
        self.shared.as_ref()
    }

    /// The drive's key instance counter.
    pub(super) const fn key_instance_counter(&self) -> u32 {
        self.key_instance_counter
    }

    /// 07/2A/13 if the nexus locked itself to parameters that have changed since.
    ///
    /// # Errors
    /// The lock is broken.
    pub(super) fn check_lock(&self, nexus: &NexusState) -> Result<(), Sense> {
        match nexus.lock {
            Some(locked) if locked != self.counter_in_force(nexus) => Err(KEY_INSTANCE_COUNTER_CHANGED),
            _ => Ok(()),
        }
    }

    /// Notes that the key in force for a nexus does not fit a block. Each key counts once.
    pub(super) fn count_wrong_key(&mut self, nexus: &mut NexusState) {
        let Some(set) = self.in_force_mut(nexus) else { return };
        if !set.found_wrong {
            set.found_wrong = true;
            self.wrong_keys = self.wrong_keys.saturating_add(1);
        }
    }

    /// Whether so many wrong keys were tried that no further one is taken.
    const fn takes_no_more_keys(&self, quirks: &Quirks) -> bool {
        matches!(quirks.wrong_key_limit, Some(limit) if self.wrong_keys >= limit)
    }

    /// Puts a page's parameters in force.
    fn set(
        &mut self,
        nexuses: &mut Nexuses,
        sender: &ItNexus,
        page: SetDataEncryption,
        capabilities: &EncryptionProfile,
        quirks: &Quirks,
    ) {
        let (scope, lock) = (page.scope, page.lock);
        if let Some(state) = nexuses.find_mut(sender) {
            let had_local = state.local.take().is_some();
            state.scope = scope;
            if scope != Scope::Public || had_local {
                self.count_change();
            }
        }
        let set = ParameterSet::new(page, self.key_instance_counter, capabilities, quirks);
        match scope {
            Scope::Public => {}
            Scope::Local => {
                if quirks.single_key_slot {
                    self.vacate(nexuses, sender);
                }
                if let Some(state) = nexuses.find_mut(sender) {
                    state.local = set;
                }
            }
            Scope::AllItNexus => {
                if quirks.single_key_slot {
                    self.vacate(nexuses, sender);
                }
                self.shared = set;
                let sharing = nexuses
                    .others_mut(sender)
                    .filter(|state| state.registered && state.scope != Scope::Local);
                sharing.for_each(|state| state.attend(CHANGED_BY_ANOTHER));
            }
        }
        if let Some(state) = nexuses.find_mut(sender) {
            state.lock = lock.then(|| self.counter_in_force(state));
        }
    }

    /// Drops the sets of all other nexuses, for a drive that has room for one.
    fn vacate(&mut self, nexuses: &mut Nexuses, sender: &ItNexus) {
        let had_shared = self.shared.take().is_some();
        for state in nexuses.others_mut(sender) {
            let lost = if state.scope == Scope::Local {
                state.local.take().is_some()
            } else {
                had_shared
            };
            if lost && state.registered {
                state.attend(CHANGED_BY_ANOTHER);
            }
        }
    }

    /// Drops each set that `doomed` says, on the drive's own account: registered nexuses that used one are told 2Ah/12h.
    fn drop_sets(&mut self, nexuses: &mut Nexuses, trips_lock: bool, doomed: impl Fn(&ParameterSet) -> bool) {
        let shared_goes = self.shared.as_ref().is_some_and(&doomed);
        let mut changed = shared_goes;
        for state in nexuses.all_mut() {
            let local_goes = state.local.as_ref().is_some_and(&doomed);
            changed |= local_goes;
            if if state.scope == Scope::Local {
                local_goes
            } else {
                shared_goes
            } {
                if state.registered {
                    state.attend(CHANGED_BY_VENDOR);
                }
                state.lock = state.lock.filter(|_| trips_lock);
            }
            state.local.take_if(|set| doomed(set));
        }
        if shared_goes {
            self.shared = None;
        }
        if changed {
            self.count_change();
        }
    }

    /// The drive loses every key.
    pub(super) fn drop_all(&mut self, nexuses: &mut Nexuses) {
        self.drop_sets(nexuses, true, |_| true);
    }

    /// The volume is demounted: sets with CKOD go, and keys may be tried again.
    pub(super) fn demount(&mut self, nexuses: &mut Nexuses, quirks: &Quirks) {
        self.wrong_keys = 0;
        let every = quirks.demount_drops_every_key;
        self.drop_sets(nexuses, quirks.demount_trips_lock, |set| {
            every || set.clear_key_on_demount
        });
    }

    /// The reservation is released or lost: sets with CKORL go.
    pub(super) fn lose_reservation(&mut self, nexuses: &mut Nexuses) {
        self.drop_sets(nexuses, true, |set| set.clear_key_on_reservation_loss);
    }

    /// Drops every set when encryption has passed from the host to the library since the last command.
    pub(super) fn follow(&mut self, nexuses: &mut Nexuses, library_managed: LibraryManaged) {
        let owned_outside = library_managed != LibraryManaged::Off;
        if owned_outside && !self.owned_outside {
            self.drop_all(nexuses);
        }
        self.owned_outside = owned_outside;
    }

    /// Forgets everything but the number of wrong keys, as after a reset.
    pub(super) fn reset(&mut self) {
        *self = Self {
            wrong_keys: self.wrong_keys,
            owned_outside: self.owned_outside,
            ..Self::default()
        };
    }

    /// Forgets everything, as after power on.
    pub(super) fn power_on(&mut self) {
        *self = Self {
            owned_outside: self.owned_outside,
            ..Self::default()
        };
    }

    const fn count_change(&mut self) {
        self.key_instance_counter = self.key_instance_counter.wrapping_add(1);
    }
}

impl ParameterSet {
    /// ENCRYPTION MODE.
    pub(super) const fn encryption_mode(&self) -> EncryptionMode {
        self.encryption_mode
    }

    /// Key and attributes to seal blocks with; none if the modes need no key.
    pub(super) fn sealing(&mut self) -> Option<(&mut BlockKey, &SealAttributes)> {
        Some((self.key.as_mut()?, &self.attributes))
    }

    /// DECRYPTION MODE as a code.
    pub(super) const fn decryption_mode_code(&self) -> u8 {
        self.decryption_mode.code()
    }
}

const KEY_INSTANCE_COUNTER_CHANGED: Sense = Sense::new(0x7, 0x2A, 0x13);
