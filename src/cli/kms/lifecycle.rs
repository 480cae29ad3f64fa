//! `tapekey kms group rename|describe` and `tapekey kms key rename|describe|move`.

use clap::Subcommand;

use super::{failure, group_table, key_table};
use crate::cli::output::{Failure, Output};
use crate::kms_api::{Describe, GroupName, KeyName, MoveKeyToGroup, RenameGroup, RenameKey};
use crate::kms_client::KmsClient;

/// Changes of a group.
#[derive(Debug, Subcommand)]
pub(super) enum GroupChange {
    /// Give a group another name; rename the pool on its hosts too, they ask for the group by that name
    Rename {
        /// The group
        group: GroupName,
        /// Its new name, beginning with ENCR_
        name: GroupName,
    },
    /// Give a group another note for people
    Describe {
        /// The group
        group: GroupName,
        /// The note; "" takes it away
        #[arg(value_name = "TEXT")]
        description: String,
    },
}

/// Changes of a key that leave its state as it is.
#[derive(Debug, Subcommand)]
pub(super) enum KeyChange {
    /// Give a key another name; its id and its volumes stay
    Rename {
        /// The group
        group: GroupName,
        /// The key
        key: KeyName,
        /// Its new name
        name: KeyName,
    },
    /// Give a key another note for people
    Describe {
        /// The group
        group: GroupName,
        /// The key
        key: KeyName,
        /// The note; "" takes it away
        #[arg(value_name = "TEXT")]
        description: String,
    },
    /// Put a key that is not active into another group of the same kind; its id stays, so its volumes are restored as before
    Move {
        /// The group
        group: GroupName,
        /// The key
        key: KeyName,
        /// The group that it goes to
        to: GroupName,
        /// Its name there; without one it keeps its own
        #[arg(long)]
        name: Option<KeyName>,
    },
}

/// Changes a group and prints it.
pub(super) async fn on_group(client: &KmsClient, change: GroupChange, output: &mut Output<'_>) -> Result<(), Failure> {
    let changed = match change {
        GroupChange::Rename { group, name } => client.rename_group(&group, &RenameGroup { name }).await,
        GroupChange::Describe { group, description } => client.describe_group(&group, &Describe { description }).await,
    };
    output.answer(&changed.map_err(failure)?, |group| {
        group_table(std::slice::from_ref(group))
    })
}

/// Changes a key and prints it.
pub(super) async fn on_key(client: &KmsClient, change: KeyChange, output: &mut Output<'_>) -> Result<(), Failure> {
    let changed = match change {
        KeyChange::Rename { group, key, name } => client.rename_key(&group, &key, &RenameKey { name }).await,
        KeyChange::Describe {
            group,
            key,
            description,
        } => client.describe_key(&group, &key, &Describe { description }).await,
        KeyChange::Move { group, key, to, name } => {
            let to = MoveKeyToGroup { group: to, name };
            client.move_key_to_group(&group, &key, &to).await
        }
    };
    output.answer(&changed.map_err(failure)?, |key| key_table([key]))
}
