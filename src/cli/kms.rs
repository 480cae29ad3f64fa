//! `tapekey kms`: groups and keys of a running KMS, over its web service, with the certificate of an administrator, operator or auditor.

mod audit;
mod certificate;
mod create_key;
mod enroll;
mod head;
mod import;
mod key_file;
mod lifecycle;
mod operation;
mod passphrase;
mod request;
mod server;
mod server_files;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};

use super::daemon::DaemonAt;
use super::output::{Exit, Failure, Output, Table};
use crate::clock::{Clock, to_text};
use crate::entropy::Entropy;
use crate::kad::KeyKind;
use crate::kms_api::{
    CreateGroup, GroupName, GroupRecord, KeyMove, KeyName, KeyRecord, KeyState, MoveKey, Purpose, RotateGroup,
};
use crate::kms_client::{ClientConfig, KmsAddress, KmsClient, KmsClientError, SetupError};

/// The environment variable that names the client bundle where `--client` does not.
const CLIENT_VARIABLE: &str = "TAPEKEY_KMS_CLIENT";

/// Key groups, keys and snapshots of a running KMS
#[derive(Debug, Args)]
pub struct KmsArgs {
    /// Client bundle of an administrator, operator or auditor, as tapekey-kms init made it [env: TAPEKEY_KMS_CLIENT]
    #[arg(long, value_name = "DIR", global = true)]
    client: Option<PathBuf>,
    /// Address of the KMS instead of those in the bundle (repeatable, tried in order)
    #[arg(long = "address", value_name = "https://HOST:PORT", global = true)]
    addresses: Vec<KmsAddress>,
    /// Control socket of this host's daemon, where a verb is about what that remembers.
    #[arg(skip)]
    pub(super) socket: PathBuf,
    #[command(subcommand)]
    verb: KmsVerb,
}

#[derive(Debug, Subcommand)]
enum KmsVerb {
    Join(enroll::JoinArgs),
    #[command(flatten)]
    Of(Noun),
}

#[derive(Debug, Subcommand)]
enum Noun {
    /// Key groups: one for each pool of encrypted volumes, named like it
    #[command(subcommand)]
    Group(GroupVerb),
    /// Keys of a group
    #[command(subcommand)]
    Key(KeyVerb),
    /// Copies of the whole store, which let a key outlive the store's disk
    #[command(subcommand)]
    Snapshot(operation::SnapshotVerb),
    /// External servers that hold keys: where they are, how they are used, whether they work
    #[command(subcommand)]
    Server(server::ServerVerb),
    /// What external servers answered, kept by the KMS for ten minutes
    #[command(subcommand)]
    Cache(operation::CacheVerb),
    /// What needs two administrators and a waiting time: deleting keys and groups, a further administrator
    #[command(subcommand)]
    Request(request::RequestVerb),
    /// The audit log: every release of a key, every change, every refusal
    #[command(subcommand)]
    Audit(audit::AuditVerb),
    /// What is remembered of the KMS's audit chains, so that a store that was rolled back is noticed
    #[command(subcommand)]
    Head(head::HeadVerb),
    /// Put new keys in the place of active ones that are old enough
    Rotate(lifecycle::RotateArgs),
    /// What the keys in the store are sealed under
    #[command(subcommand)]
    Seal(operation::SealVerb),
    /// Certificates of clients: who may ask the KMS
    #[command(subcommand)]
    Certificate(certificate::CertificateVerb),
    /// Tokens with which new hosts and people join
    #[command(subcommand)]
    Enroll(enroll::EnrollVerb),
    /// Show how the KMS is; exit code 1 if there is an alarm, keys are in no snapshot or a certificate ends soon
    Status,
    /// Refuse changes of groups and keys until it is taken back; keys are given out all the same
    Quiesce,
    /// Take one quiesce back; with the last one, changes are allowed again
    Unquiesce,
}

#[derive(Debug, Subcommand)]
enum GroupVerb {
    /// Make a group
    Create {
        /// The pool's name, beginning with ENCR_ for tape
        name: GroupName,
        /// How the keys on drives follow from the group's keys; fixed for ever
        #[arg(long, value_enum, default_value_t = Kind::Derived)]
        kind: Kind,
        /// What the keys are for: with disk, NAME is a disk pool's and does not begin with ENCR_
        #[arg(long = "for", value_enum, value_name = "PURPOSE", default_value_t = For::Tape)]
        purpose: For,
        /// A note for people
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
    },
    #[command(flatten)]
    Change(lifecycle::GroupChange),
    /// List all groups
    List,
}

#[derive(Debug, Subcommand)]
enum KeyVerb {
    Create(create_key::CreateArgs),
    Import(import::ImportArgs),
    /// Make a key the one that new volumes are written under; the former one then serves restores only
    Activate {
        /// The group
        group: GroupName,
        /// The key
        name: KeyName,
        /// Accept that no snapshot on another disk holds the key; audited
        #[arg(long)]
        single_copy: bool,
    },
    /// Make a key, have a snapshot take it up, and activate it; the former key serves until then
    Rotate {
        /// The group
        group: GroupName,
        /// The new key's name; without one the KMS makes one
        #[arg(long)]
        name: Option<KeyName>,
        /// Accept that no snapshot on another disk holds the key; audited
        #[arg(long)]
        single_copy: bool,
    },
    /// Take a key out of use, or back, one step at a time: active, inactive, deprecated, terminated
    Retire {
        /// The group
        group: GroupName,
        /// The key
        name: KeyName,
        /// The new state
        #[arg(value_enum)]
        state: Retired,
    },
    #[command(flatten)]
    Change(lifecycle::KeyChange),
    /// List keys, without their bytes
    List {
        /// Of this group only
        group: Option<GroupName>,
    },
}

/// As the command line spells it.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Each volume gets its own key; the group's key never leaves the KMS
    Derived,
    /// The group's key itself goes into the drive, for volumes that other software must read
    AsIs,
}

/// What a group's keys are for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum For {
    /// A pool of tape volumes
    Tape,
    /// A disk pool of another program, which asks through the web service
    Disk,
}

/// States other than active, which has a verb of its own.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Retired {
    /// For restore only
    Inactive,
    /// For nothing; an attempt is an error
    Deprecated,
    /// For nothing, and on its way out
    Terminated,
}

/// Does what `arguments` ask for and prints the answer.
///
/// # Errors
/// [`Failure`]: exit code 2 for a bundle that cannot be used, 1 for a refusal, 3 if no KMS answers.
pub async fn run(
    arguments: KmsArgs,
    clock: &Arc<dyn Clock>,
    entropy: &dyn Entropy,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let noun = match arguments.verb {
        KmsVerb::Join(join) => return enroll::join(join, arguments.addresses, clock, output).await,
        KmsVerb::Of(noun) => noun,
    };
    let bundle = arguments
        .client
        .or_else(|| std::env::var_os(CLIENT_VARIABLE).map(PathBuf::from));
    if let Noun::Head(verb) = noun {
        return head::run(verb, bundle.as_deref(), &DaemonAt(arguments.socket), clock, output).await;
    }
    let bundle = bundle.ok_or_else(no_bundle)?;
    let heads = head::of_bundle(&bundle, clock);
    let client = connect(&bundle, arguments.addresses, clock).map_err(|error| Failure::new(Exit::Usage, error))?;
    if let Some(expiry) = client.expiry() {
        output.warning(&format!("{expiry}\nhint: tapekey kms certificate renew"));
    }
    let client = client.remembering(heads.clone());
    let done = match noun {
        Noun::Audit(verb) => audit::run(&client, verb, audit::trusted(&heads), output).await,
        noun => ask(&client, noun, entropy, output).await,
    };
    // A bundle that cannot be written to remembers nothing; what it asked for is done all the same.
    let _ = heads.save().await;
    for alarm in heads.alarms() {
        output.alarm(&alarm.text, &alarm.hint.replace("--reason", "--own --reason"));
    }
    done
}

async fn ask(client: &KmsClient, noun: Noun, entropy: &dyn Entropy, output: &mut Output<'_>) -> Result<(), Failure> {
    match noun {
        // They need more than a client.
        Noun::Head(_) | Noun::Audit(_) => Ok(()),
        Noun::Certificate(verb) => certificate::run(client, verb, output).await,
        Noun::Enroll(verb) => enroll::run(client, verb, output).await,
        Noun::Group(verb) => on_groups(client, verb, output).await,
        Noun::Key(verb) => on_keys(client, verb, entropy, output).await,
        Noun::Snapshot(verb) => operation::on_snapshots(client, verb, output).await,
        Noun::Server(verb) => server::run(client, verb, output).await,
        Noun::Rotate(arguments) => lifecycle::on_rotate(client, &arguments, output).await,
        Noun::Cache(verb) => operation::on_cache(client, verb, output).await,
        Noun::Seal(operation::SealVerb::Rotate) => operation::on_seal_rotate(client, output).await,
        Noun::Request(verb) => request::run(client, verb, output).await,
        Noun::Status => operation::on_status(client, output).await,
        Noun::Quiesce => operation::on_quiesce(client, true, output).await,
        Noun::Unquiesce => operation::on_quiesce(client, false, output).await,
    }
}

/// No client bundle is named, and this needs one.
fn no_bundle() -> Failure {
    Failure::new(
        Exit::Usage,
        format_args!(
            "no client bundle is named\nhint: --client DIR or {CLIENT_VARIABLE}; tapekey-kms init makes DIR/clients/admin-1"
        ),
    )
}

fn connect(bundle: &Path, addresses: Vec<KmsAddress>, clock: &Arc<dyn Clock>) -> Result<KmsClient, SetupError> {
    let mut config = ClientConfig::from_bundle(bundle)?;
    if !addresses.is_empty() {
        config.addresses = addresses;
    }
    KmsClient::new(&config, clock)
}

async fn on_groups(client: &KmsClient, verb: GroupVerb, output: &mut Output<'_>) -> Result<(), Failure> {
    match verb {
        GroupVerb::Create {
            name,
            kind,
            purpose,
            description,
        } => {
            let purpose = match purpose {
                For::Tape => Purpose::Tape,
                For::Disk => Purpose::Disk,
            };
            let kind = match kind {
                Kind::Derived => KeyKind::Derived,
                Kind::AsIs => KeyKind::AsIs,
            };
            let group = client
                .create_group(&CreateGroup {
                    name,
                    kind,
                    purpose,
                    description,
                })
                .await
                .map_err(failure)?;
            output.answer(&group, |group| group_table(std::slice::from_ref(group)))
        }
        GroupVerb::Change(change) => lifecycle::on_group(client, change, output).await,
        GroupVerb::List => {
            let groups = client.groups().await.map_err(failure)?;
            output.answer(&groups, |groups| group_table(groups))
        }
    }
}

async fn on_keys(
    client: &KmsClient,
    verb: KeyVerb,
    entropy: &dyn Entropy,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let moved = match verb {
        KeyVerb::Create(arguments) => return create_key::run(client, arguments, entropy, output).await,
        KeyVerb::Change(change) => return lifecycle::on_key(client, change, output).await,
        KeyVerb::Import(arguments) => return import::run(client, arguments, output).await,
        KeyVerb::List { group } => {
            let keys = client.keys(group.as_ref()).await.map_err(failure)?;
            return output.answer(&keys, |keys| key_table(keys));
        }
        KeyVerb::Activate {
            group,
            name,
            single_copy,
        } => {
            client
                .move_key(
                    &group,
                    &name,
                    &MoveKey {
                        state: KeyState::Active,
                        single_copy,
                    },
                )
                .await
        }
        KeyVerb::Retire { group, name, state } => {
            let state = match state {
                Retired::Inactive => KeyState::Inactive,
                Retired::Deprecated => KeyState::Deprecated,
                Retired::Terminated => KeyState::Terminated,
            };
            client
                .move_key(
                    &group,
                    &name,
                    &MoveKey {
                        state,
                        single_copy: false,
                    },
                )
                .await
        }
        KeyVerb::Rotate {
            group,
            name,
            single_copy,
        } => client.rotate_group(&group, &RotateGroup { name, single_copy }).await,
    };
    output.answer(&moved.map_err(failure)?, describe_move)
}

fn failure(error: KmsClientError) -> Failure {
    let exit = match error {
        KmsClientError::Unreachable { .. } => Exit::Unreachable,
        KmsClientError::Refused { .. } | KmsClientError::Uncertain { .. } => Exit::Failed,
    };
    Failure::new(exit, error)
}

fn describe_move(moved: &KeyMove) -> String {
    let table = key_table(moved.former.iter().chain([&moved.key]));
    if moved.changed {
        table
    } else {
        format!("{table}nothing changed: the key was {} already\n", moved.key.state)
    }
}

fn group_table(groups: &[GroupRecord]) -> String {
    let mut table = Table::new(&[
        "group",
        "kind",
        "cipher",
        "keys from",
        "rotated",
        "created",
        "description",
    ]);
    for group in groups {
        let kind = match group.kind {
            KeyKind::Derived => "derived",
            KeyKind::AsIs => "as-is",
        };
        let GroupRecord {
            name,
            cipher,
            rotate_after_days,
            server,
            created,
            description,
            ..
        } = group;
        table.row([
            name.to_string(),
            kind.to_owned(),
            cipher.to_string(),
            server.as_ref().map_or_else(|| "any".to_owned(), ToString::to_string),
            rotate_after_days.map_or_else(|| "by hand".to_owned(), |days| format!("after {days}d")),
            to_text(*created),
            description.clone(),
        ]);
    }
    table.to_string()
}

fn key_table<'a>(keys: impl IntoIterator<Item = &'a KeyRecord>) -> String {
    let mut table = Table::new(&[
        "group",
        "key",
        "state",
        "id",
        "origin",
        "created",
        "modified",
        "description",
    ]);
    for key in keys {
        let KeyRecord {
            id,
            name,
            group,
            state,
            description,
            origin,
            created,
            modified,
            ..
        } = key;
        let (created, modified) = (to_text(*created), to_text(*modified));
        let names = [group.to_string(), name.to_string(), state.to_string(), id.to_string()];
        let more = [origin.to_string(), created, modified, description.clone()];
        table.row(names.into_iter().chain(more));
    }
    table.to_string()
}
