//! `tapekey-kms node join`: one more node on a PostgreSQL server that has a store, with an audit chain and a server certificate of its own.

use std::path::Path;

use super::audit::{Action, Actor, Event};
use super::config::KmsConfig;
use super::init::{Files, InitError, Made};
use super::seal::HostMasterKey;
use super::store::{StoreFile, StorePlace};
use crate::clock::Clock;

/// Makes a node in the empty `folder` on the store at `store`, which is sealed under `master`. Returns what it made.
///
/// # Errors
/// [`InitError`]; there is no configuration then, and so no node.
pub fn join(
    store: StorePlace,
    master: &HostMasterKey,
    folder: &Path,
    hosts: &[String],
    clock: &dyn Clock,
) -> Result<Vec<Made>, InitError> {
    let opened = StoreFile::open_beside(&store, master)?;
    let ca = opened.issuing_ca()?;
    let mut files = Files::in_empty(folder)?;
    opened.record(&Event::new(&Actor::local(), Action::JoinNode), clock.now())?;
    let config = KmsConfig::initial(store);
    files.add_node(config, master, &ca, hosts, clock.now())?;
    files.finish()
}
