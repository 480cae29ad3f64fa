//! How the fake server behaves: every way in which real servers were seen to differ. By default it does all that the standard offers.

use std::time::Duration;

use super::hostile::Hostility;
use crate::kmip_support::tags::operation;

/// What the server does. Each may be changed while it runs.
#[derive(Debug, Clone)]
pub(crate) struct Habits {
    /// The versions it knows, its favourite first.
    pub(crate) versions: Vec<(i32, i32)>,
    /// Answers in any version that the header says, known or not.
    pub(crate) echoes_unknown_versions: bool,
    /// The operations it knows; see `unknown_operation`.
    pub(crate) operations: Vec<u32>,
    /// What it says to others.
    pub(crate) unknown_operation: UnknownOperation,
    /// Custom attributes.
    pub(crate) custom: Custom,
    /// How it spells them in KMIP 2.x.
    pub(crate) vendor: Vendor,
    /// Does not find custom attributes by reference in KMIP 2.x, only among all.
    pub(crate) misses_references: bool,
    /// Attributes, by their names in KMIP 1.x, by which Locate seems to filter and does not.
    pub(crate) ignored_filters: Vec<&'static str>,
    /// The order of what Locate finds.
    pub(crate) order: Order,
    /// Locate never gives more than this.
    pub(crate) results_max: Option<usize>,
    /// Whether Locate begins where Offset Items says.
    pub(crate) honours_offset: bool,
    /// Whether Locate says how many there are in all.
    pub(crate) counts_located: bool,
    /// The states in which Get is refused with 0x43.
    pub(crate) get_refused_in: Vec<u32>,
    /// Whether Get and Export put the attributes behind the key material.
    pub(crate) attributes_after_material: bool,
    /// Whether a missing object is 0x37 and a destroyed one 0x36, instead of 0x01 for both.
    pub(crate) fine_reasons: bool,
    /// Whether the rest of a batch is left out after a failure, as the standard says.
    pub(crate) stops_batches: bool,
    /// Whether a key that is activated gets an Activation Date: the time then, whatever was asked for.
    pub(crate) dates_activation: bool,
    /// Whether there are values here and there that the standard does not know.
    pub(crate) strange_values: bool,
    /// Answers only after this time.
    pub(crate) delay: Duration,
    /// What goes wrong with replies, if something does.
    pub(crate) trouble: Option<Trouble>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnknownOperation {
    /// That one item is refused with 0x05.
    Refused,
    /// The whole message is refused with 0x04, by an item without operation and a header of version 1.0.
    Unreadable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Custom {
    /// Kept, told and found by.
    Filtered,
    /// Kept and told, and Locate ignores them without a word.
    NotFiltered,
    /// Refused when keys are made, never told; Locate fails with 0x100 as soon as there is an object.
    Unsupported,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vendor {
    /// `x-keygroup` is the attribute `keygroup` of the vendor `x`.
    X,
    /// It is the attribute `x-keygroup` of some vendor.
    Own,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    NewestFirst,
    AsMade,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    /// With replies to this operation only.
    pub(crate) operation: Option<u32>,
    pub(crate) what: Hostility,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            versions: vec![(2, 1), (2, 0), (1, 4), (1, 3), (1, 2), (1, 1), (1, 0)],
            echoes_unknown_versions: false,
            operations: vec![
                operation::CREATE,
                operation::REGISTER,
                operation::LOCATE,
                operation::GET,
                operation::GET_ATTRIBUTES,
                operation::ACTIVATE,
                operation::REVOKE,
                operation::DESTROY,
                operation::QUERY,
                operation::DISCOVER_VERSIONS,
                operation::EXPORT,
            ],
            unknown_operation: UnknownOperation::Refused,
            custom: Custom::Filtered,
            vendor: Vendor::X,
            misses_references: false,
            ignored_filters: Vec::new(),
            order: Order::NewestFirst,
            results_max: None,
            honours_offset: true,
            counts_located: true,
            get_refused_in: Vec::new(),
            attributes_after_material: false,
            fine_reasons: false,
            stops_batches: true,
            dates_activation: true,
            strange_values: false,
            delay: Duration::ZERO,
            trouble: None,
        }
    }
}

impl Habits {
    /// The second server that was looked at: all of its ways at once.
    pub(crate) fn of_another_server() -> Self {
        Self {
            echoes_unknown_versions: true,
            custom: Custom::NotFiltered,
            ignored_filters: vec!["Initial Date", "Activation Date"],
            order: Order::AsMade,
            results_max: Some(1000),
            honours_offset: false,
            get_refused_in: vec![crate::kmip_support::tags::state::DEACTIVATED],
            attributes_after_material: true,
            fine_reasons: true,
            stops_batches: false,
            strange_values: true,
            ..Self::default()
        }
    }

    /// As stock PyKMIP behaves, with nothing of its own.
    pub(crate) fn of_pykmip() -> Self {
        let mut habits = Self {
            versions: vec![(2, 0), (1, 4), (1, 3), (1, 2), (1, 1), (1, 0)],
            unknown_operation: UnknownOperation::Unreadable,
            custom: Custom::Unsupported,
            ignored_filters: vec!["Activation Date", "Protect Stop Date", "Contact Information"],
            counts_located: false,
            dates_activation: false,
            ..Self::default()
        };
        habits.operations.retain(|known| *known != operation::EXPORT);
        habits
    }
}

/// Anything that goes wrong with replies to `operation`.
pub(crate) fn with(operation: u32, what: Hostility) -> Option<Trouble> {
    Some(Trouble {
        operation: Some(operation),
        what,
    })
}
