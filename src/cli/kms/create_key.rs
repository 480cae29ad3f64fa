//! `tapekey kms key create`: a random key, one of a passphrase, or one that an external server makes and keeps.

use clap::Args;

use super::{failure, key_table, passphrase, server};
use crate::cli::output::{Exit, Failure, Output};
use crate::entropy::Entropy;
use crate::kms_api::{CreateKey, GroupName, KeyName, ServerName};
use crate::kms_client::KmsClient;

/// Make a random key, or one of a passphrase; it is prelive until it is activated. In an external server it is active at once
#[derive(Debug, Args)]
#[command(
    override_usage = "tapekey kms key create [OPTIONS] <GROUP> [NAME]\n       tapekey kms key create --server <SERVER> --group <GROUP> [NAME]"
)]
pub(super) struct CreateArgs {
    /// The group
    #[arg(required_unless_present = "group_of_server")]
    group: Option<GroupName>,
    /// The key's name; without one the KMS makes one
    name: Option<KeyName>,
    /// Have this external server make the key and keep it; new volumes are written under it at once
    #[arg(long, value_name = "SERVER", requires = "group_of_server")]
    server: Option<ServerName>,
    /// The group of the key in the external server
    #[arg(
        id = "group_of_server",
        long = "group",
        value_name = "GROUP",
        requires = "server",
        conflicts_with = "name"
    )]
    group_of_server: Option<GroupName>,
    /// A note for people
    #[arg(long, value_name = "TEXT", default_value = "", conflicts_with = "server")]
    description: String,
    #[command(flatten)]
    passphrase: passphrase::PassphraseArgs,
}

/// Makes the key and prints what is known of it.
pub(super) async fn run(
    client: &KmsClient,
    arguments: CreateArgs,
    entropy: &dyn Entropy,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let CreateArgs {
        group,
        name,
        server,
        group_of_server,
        description,
        passphrase,
    } = arguments;
    if let (Some(server), Some(in_group)) = (server, group_of_server) {
        // With --group, what stands first is the name.
        let name = group.map(|first| KeyName::new(first.as_str())).transpose();
        let name = name.map_err(|error| Failure::new(Exit::Usage, error))?;
        return server::create_key(client, &server, (in_group, name), output).await;
    }
    let group =
        group.ok_or_else(|| Failure::new(Exit::Usage, "no group is named\nhint: tapekey kms key create GROUP"))?;
    let wanted = CreateKey { name, description };
    if passphrase.is_wanted() {
        return passphrase::create(client, &group, wanted, passphrase, entropy, output).await;
    }
    let key = client.create_key(&group, &wanted).await.map_err(failure)?;
    output.answer(&key, |key| key_table([key]))
}
