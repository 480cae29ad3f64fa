//! `tapekey kms enroll`: tokens for new hosts and people; and `tapekey kms join`: on that host, its way to a certificate.
//!
//! The token comes from the terminal or from a file descriptor, never from an argument or the environment.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};

use super::certificate::{GroupsArgs, table};
use super::{failure, request};
use crate::cli::output::{Exit, Failure, Output, Table};
use crate::clock::{Clock, to_text};
use crate::kms_api::{
    AdminChange, ClientName, CreateEnrollment, ENROLL_TOKEN_LENGTH_MAX, EnrollToken, EnrollmentRecord, NewAdminRequest,
    Role,
};
use crate::kms_client::{EnrollError, KmsAddress, KmsClient, NewBundle, enroll};
use crate::terminal::{Terminal, read_descriptor};

/// Verbs for new hosts.
#[derive(Debug, Subcommand)]
pub(super) enum EnrollVerb {
    /// Make a token with which one new host gets one certificate; it is shown once and good for an hour
    Create {
        /// What the host or person will be called in certificates and audit records
        name: ClientName,
        /// What its holder may ask
        #[arg(long, value_enum)]
        role: WantedRole,
        #[command(flatten)]
        groups: GroupsArgs,
        /// Why there is to be a further administrator: asks for it, with --role admin; kept for ever
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// List the tokens that can still be used, without the tokens themselves
    List,
    /// Make the tokens for a name worthless, before anybody uses them
    Cancel {
        /// Whose certificate it would be
        name: ClientName,
    },
}

/// On a new host: make a private key here, get a certificate for it with a token, and write a client bundle
///
/// The KMS is known by the fingerprint in the token before the token is sent. Name it with --address.
#[derive(Debug, Args)]
pub(super) struct JoinArgs {
    /// Folder to write the bundle to; it must be empty or not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Read the token from this file descriptor instead of the terminal
    #[arg(long, value_name = "N")]
    token_fd: Option<u32>,
}

/// As the command line spells it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum WantedRole {
    /// Keys for the volumes of its groups
    MediaServer,
    /// The day's work: groups, keys, rotation, snapshots
    Operator,
    /// Sees everything but keys, changes nothing
    Auditor,
    /// Everything. First ask, with --reason; once another administrator approved it and 30 days of service have passed, without
    Admin,
}

/// Carries out `verb`.
pub(super) async fn run(client: &KmsClient, verb: EnrollVerb, output: &mut Output<'_>) -> Result<(), Failure> {
    let (name, role, groups, reason) = match verb {
        EnrollVerb::Create {
            name,
            role,
            groups,
            reason,
        } => (name, role, groups, reason),
        EnrollVerb::List => {
            let open = client.enrollments().await.map_err(failure)?;
            return output.answer(&open, |open| tokens(open));
        }
        EnrollVerb::Cancel { name } => {
            let cancelled = client.cancel_enrollments(&name).await.map_err(failure)?;
            return output.answer(&cancelled, |cancelled| tokens(cancelled));
        }
    };
    let role = match role {
        WantedRole::MediaServer => Role::MediaServer,
        WantedRole::Operator => Role::Operator,
        WantedRole::Auditor => Role::Auditor,
        WantedRole::Admin => Role::Admin,
    };
    if let Some(reason) = reason {
        return ask_for_admin(client, (name, role), reason, output).await;
    }
    let binding = groups.binding();
    create(client, CreateEnrollment { name, role, binding }, output).await
}

/// Makes a token and prints it.
async fn create(client: &KmsClient, wanted: CreateEnrollment, output: &mut Output<'_>) -> Result<(), Failure> {
    let token = client.create_enrollment(&wanted).await.map_err(failure)?;
    output.answer(&token, |made| {
        let (token, until, name) = (&made.token, to_text(made.expires), &wanted.name);
        format!(
            "{token}\n\nGood until {until} for one certificate of {name}. On the new host:\n  tapekey kms join DIR --address https://HOST:PORT\nIt asks for the token. Whoever has the token can become {name}: pass it on by a way that nobody else can read.\n"
        )
    })
}

/// A further administrator needs two others and a waiting time before there is a token.
async fn ask_for_admin(
    client: &KmsClient,
    (name, role): (ClientName, Role),
    reason: String,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    if role != Role::Admin {
        let text = format!("--reason is for --role admin; a token for role {role} is made at once\nhint: leave it out");
        return Err(Failure::new(Exit::Usage, text));
    }
    let change = AdminChange::AddAdmin { name };
    let asked = client.make_request(&NewAdminRequest { change, reason }).await;
    output.answer(&asked.map_err(failure)?, request::details)
}

fn tokens(open: &[EnrollmentRecord]) -> String {
    let mut table = Table::new(&["name", "role", "groups", "made by", "until"]);
    for token in open {
        let binding = token.binding.as_ref();
        table.row([
            token.name.to_string(),
            token.role.to_string(),
            binding.map_or_else(|| "-".to_owned(), ToString::to_string),
            token.created_by.clone(),
            to_text(token.expires),
        ]);
    }
    table.to_string()
}

/// Makes this host a client.
pub(super) async fn join(
    JoinArgs { folder, token_fd }: JoinArgs,
    addresses: Vec<KmsAddress>,
    clock: &Arc<dyn Clock>,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::new(Exit::Usage, error);
    if addresses.is_empty() {
        return Err(usage(
            &"no KMS address is named\nhint: --address https://HOST:PORT (repeatable)",
        ));
    }
    let bundle = NewBundle::in_empty(&folder).map_err(|error| usage(&error))?;
    let token = read_token(token_fd)?;
    let enrolled = enroll(addresses.clone(), &token, clock)
        .await
        .map_err(|error| match error {
            EnrollError::Kms(error) => failure(error),
            error => Failure::new(Exit::Failed, error),
        })?;
    bundle
        .fill(&enrolled, &addresses)
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let record = enrolled.issued.record;
    output.answer(&record, |record| {
        let folder = folder.display();
        format!("{}\nThe bundle is in {folder}: tapekey kms --client {folder} …, or the files of [kms] in tapekeyd's configuration.\n", table(std::slice::from_ref(record)))
    })
}

fn read_token(descriptor: Option<u32>) -> Result<EnrollToken, Failure> {
    let read = match descriptor {
        Some(descriptor) => read_descriptor(descriptor, ENROLL_TOKEN_LENGTH_MAX),
        None => {
            Terminal::open().and_then(|terminal| terminal.ask_secret("Enrollment token: ", ENROLL_TOKEN_LENGTH_MAX))
        }
    };
    let text = read.map_err(|error| {
        Failure::new(
            Exit::Usage,
            format_args!("read the token: {error}\nhint: type it, or give it with --token-fd N"),
        )
    })?;
    let text = std::str::from_utf8(&text).map_err(|_| "it is no text");
    text.and_then(EnrollToken::from_text).map_err(|problem| {
        Failure::new(
            Exit::Usage,
            format_args!("the enrollment token is none: {problem}\nhint: copy it whole, from tapekey-enroll-1. on"),
        )
    })
}
