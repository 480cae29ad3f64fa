//! `tapekey kms key create --passphrase`: the passphrase is asked for and turned into the key here; the KMS gets the key alone.
//!
//! A passphrase comes from the terminal or from a file descriptor, never from an argument or the environment, and goes nowhere but to the
//! terminal that it is typed on.

use clap::Args;

use super::{failure, key_table};
use crate::cli::output::{Exit, Failure, Output};
use crate::cli::terminal::{Terminal, read_descriptor};
use crate::entropy::{Entropy, random_bytes};
use crate::kad::KeyId;
use crate::kms_api::{CreateKey, CreatePassphraseKey, GroupName};
use crate::kms_client::KmsClient;
use crate::passphrase::{PASSPHRASE_LENGTH_MAX, PROPOSED_BITS, PROPOSED_WORDS, Passphrase};

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
    let passphrase = match arguments.passphrase_fd {
        Some(descriptor) => from_descriptor(descriptor)?,
        None => from_terminal(entropy)?,
    };
    let (bits, weak) = (passphrase.bits(), passphrase.is_weak());
    if weak && !arguments.weak {
        return Err(too_weak(bits));
    }
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

fn from_descriptor(descriptor: u32) -> Result<Passphrase, Failure> {
    let bytes = read_descriptor(descriptor, PASSPHRASE_LENGTH_MAX + 2)
        .map_err(|error| Failure::new(Exit::Usage, format_args!("passphrase: {error}")))?;
    Passphrase::read(&bytes).map_err(|error| Failure::new(Exit::Usage, error))
}

/// Proposes a passphrase, and takes it or another one, typed twice.
fn from_terminal(entropy: &dyn Entropy) -> Result<Passphrase, Failure> {
    let broken = |error: std::io::Error| Failure::new(Exit::Failed, format_args!("ask for the passphrase: {error}"));
    let terminal = Terminal::open().map_err(|error| {
        let text = format!(
            "ask for the passphrase: there is no terminal: {error}\nhint: run this in a terminal, or use --passphrase-fd"
        );
        Failure::new(Exit::Usage, text)
    })?;
    let proposal = Passphrase::propose(entropy).map_err(|error| Failure::new(Exit::Failed, error))?;
    terminal
        .say(&format!(
            "Proposed passphrase, {PROPOSED_WORDS} words drawn from 2048, {PROPOSED_BITS} bits:\n\n    "
        ))
        .and_then(|()| terminal.say(proposal.expose()))
        .and_then(|()| terminal.say("\n\nWrite it down. Then type it, or one of your own; it is not shown.\n"))
        .map_err(broken)?;
    let ask = |prompt| -> Result<Passphrase, Failure> {
        let typed = terminal.ask_secret(prompt, PASSPHRASE_LENGTH_MAX + 2).map_err(broken)?;
        Passphrase::read(&typed).map_err(|error| Failure::new(Exit::Usage, error))
    };
    let (first, second) = (ask("Passphrase: ")?, ask("Once more:  ")?);
    if first == second {
        Ok(first)
    } else {
        Err(Failure::new(
            Exit::Usage,
            "the two passphrases differ; no key was made\nhint: try again",
        ))
    }
}

fn too_weak(bits: u32) -> Failure {
    let text = format!(
        "the passphrase shows {bits} bits at most, a proposal has {PROPOSED_BITS}; no key was made\nhint: take the \
         proposal, or at least {PROPOSED_WORDS} different words; --weak accepts less and is audited"
    );
    Failure::new(Exit::Usage, text)
}
