//! `tapekey kms group rename|describe|set`, `tapekey kms key rename|describe|move` and `tapekey kms rotate`.

use clap::{Args, Subcommand};

use super::{failure, group_table, key_table};
use crate::cli::output::{Exit, Failure, Output, Table};
use crate::clock::to_text;
use crate::kms_api::{
    ANY_SERVER, BindGroupToServer, Describe, GroupName, KeyName, MoveKeyToGroup, ROTATE_AFTER_DAYS_MAX, RenameGroup,
    RenameKey, RotateAfter, RotationReport, ServerName, SetRotation, WaitingRotation,
};
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
    /// Have a group's new keys come from one server alone; what was written before is restored from all servers
    Bind {
        /// The group
        group: GroupName,
        /// An external server, built-in for the KMS's own store, or any: by rank, the built-in store last
        #[arg(long, value_name = "SERVER|built-in|any")]
        server: ServerName,
    },
    /// Set after how many days the group's active key is rotated by itself
    Set {
        /// The group
        group: GroupName,
        /// The age, counted from when the key became active, such as 90d; or never
        #[arg(long, value_name = "DAYSd|never", value_parser = rotate_after)]
        rotate_after: RotateAfter,
    },
}

/// Rotations of all groups.
#[derive(Debug, Args)]
pub(super) struct RotateArgs {
    /// Carry out every rotation by age that is due, and those that were begun
    #[arg(long, required = true)]
    due: bool,
}

fn rotate_after(text: &str) -> Result<RotateAfter, String> {
    if text == "never" {
        return Ok(RotateAfter::Never);
    }
    let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
    days.filter(|days| (1..=ROTATE_AFTER_DAYS_MAX).contains(days))
        .map(RotateAfter::Days)
        .ok_or_else(|| format!("an age is 1d to {ROTATE_AFTER_DAYS_MAX}d, such as 90d, or never"))
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
        GroupChange::Bind { group, server } => {
            let server = Some(server).filter(|server| server.as_str() != ANY_SERVER);
            client.bind_group_to_server(&group, &BindGroupToServer { server }).await
        }
        GroupChange::Set { group, rotate_after } => client.set_rotation(&group, &SetRotation { rotate_after }).await,
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

/// Rotates what is due and prints what was done and what waits; exit code 1 if anything waits.
pub(super) async fn on_rotate(
    client: &KmsClient,
    arguments: &RotateArgs,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    // The flag says what the verb does; there is nothing else to rotate at once.
    let RotateArgs { due: true } = arguments else {
        return Ok(());
    };
    let report = client.rotate_due().await.map_err(failure)?;
    output.answer(&report, describe)?;
    match report.waiting.len() {
        0 => Ok(()),
        waiting => Err(Failure::new(
            Exit::Failed,
            format_args!(
                "{waiting} rotations wait; the former keys go on serving\nhint: each row says what it waits for; then run this again"
            ),
        )),
    }
}

fn describe(report: &RotationReport) -> String {
    if report.rotated.is_empty() && report.waiting.is_empty() {
        return "no rotation is due\n".to_owned();
    }
    let mut text = String::new();
    if !report.rotated.is_empty() {
        let keys = report
            .rotated
            .iter()
            .flat_map(|moved| moved.former.iter().chain([&moved.key]));
        text.push_str(&key_table(keys));
    }
    if !report.waiting.is_empty() {
        text.push_str(&waiting_table(&report.waiting));
    }
    text
}

fn waiting_table(waiting: &[WaitingRotation]) -> String {
    let mut table = Table::new(&["group", "due", "next key", "waits for"]);
    for WaitingRotation { group, key, due, why } in waiting {
        let none = || "-".to_owned();
        table.row([
            group.to_string(),
            due.map_or_else(none, to_text),
            key.as_ref().map_or_else(none, ToString::to_string),
            why.clone(),
        ]);
    }
    table.to_string()
}
