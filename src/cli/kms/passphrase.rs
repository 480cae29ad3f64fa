//! `tapekey kms key create --passphrase`: the passphrase is asked for and turned into the key here; the KMS gets the key alone.
//!
//! A passphrase comes from the terminal or from a file descriptor, never from an argument or the environment, and goes nowhere but to the
//! terminal that it is typed on.

use clap::Args;

use super::{failure, key_table};
use crate::cli::output::{Exit, Failure, Output};
use crate::entropy::{Entropy, random_bytes};
use crate::kad::KeyId;
use crate::kms_api::{CreateKey, CreatePassphraseKey, GroupName};
use crate::kms_client::KmsClient;
use crate::terminal::passphrase::{AskError, Source, ask_new};

/// Where the key comes from, if not from the KMS's randomness.
#[derive(Debug, Args)]
pub(super) struct PassphraseArgs {
    /// Make the key of a passphrase, so that passphrase and tape are enough to read it; eight random words are proposed
    #[arg(long)]
    passphrase: bool,
    /// Read the passphrase from this file descriptor instead of the terminal
    #[arg(long, value_name = "N")]
    passphrase_fd: Option<u32>,
    /// Accept a passphrase that is weaker than the proposal; audited
    #[arg(long)]
    weak: bool,
    /// Bring a lost key back: the id that it had, as it stands in the KAD of its tapes
    #[arg(long, value_name = "UUID", value_parser = key_id)]
    id: Option<KeyId>,
}

impl PassphraseArgs {
    /// Whether a passphrase key is asked for; flags that only make sense with one count as asking.
    pub(super) fn is_wanted(&self) -> bool {
        self.passphrase || self.passphrase_fd.is_some() || self.weak || self.id.is_some()
    }
}

/// A UUID of any usual spelling.
pub(super) fn key_id(text: &str) -> Result<KeyId, String> {
    uuid::Uuid::try_parse(text)
        .map(|uuid| KeyId(uuid.into_bytes()))
        .map_err(|error| format!("a key id is a UUID: {error}"))
}

/// Asks for the passphrase, makes the key, and has the KMS keep it.
pub(super) async fn create(
    client: &KmsClient,
    group: &GroupName,
    wanted: CreateKey,
    arguments: PassphraseArgs,
    entropy: &dyn Entropy,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let id = match arguments.id {
        Some(id) => id,
        None => KeyId::from_random(random_bytes(entropy).map_err(|error| Failure::new(Exit::Failed, error))?),
    };
    let from = Source::descriptor_or_terminal(arguments.passphrase_fd);
    let passphrase = ask_new(from, arguments.weak, entropy).map_err(|error| Failure::new(exit(&error), error))?;
    let (bits, weak) = (passphrase.bits(), passphrase.is_weak());
    let key = passphrase
        .derive(id)
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    drop(passphrase);
    let request = CreatePassphraseKey {
        id,
        name: wanted.name,
        description: wanted.description,
        key,
        weak,
    };
    let record = client.create_passphrase_key(group, &request).await.map_err(failure)?;
    output.answer(&record, |record| {
        format!(
            "{}the passphrase (at most {bits} bits) and a tape are enough to read the tape: keep it apart from both\n",
            key_table([record])
        )
    })
}

fn exit(error: &AskError) -> Exit {
    match error {
        AskError::Terminal { .. } | AskError::Entropy(_) => Exit::Failed,
        AskError::NoTerminal { .. }
        | AskError::Descriptor { .. }
        | AskError::Passphrase(_)
        | AskError::Differ
        | AskError::Weak { .. } => Exit::Usage,
    }
}
