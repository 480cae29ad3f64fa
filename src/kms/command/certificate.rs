//! `tapekey-kms certificate admit DIR FILE`: the way back in after a restore, for those whose certificates are newer than the snapshot.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::master_key::MasterKeyArguments;
use super::{Done, Machine};
use crate::kms::config::KmsConfig;
use crate::kms::master_key;
use crate::kms::store::StoreFile;
use crate::kms_api::{Binding, GroupName};

/// Verbs for certificates.
#[derive(Debug, Subcommand)]
pub(super) enum CertificateVerb {
    /// Make a certificate known that this KMS's issuing CA signed and the store does not have
    ///
    /// A restored store does not know certificates that are newer than its snapshot. Works also while the service runs.
    Admit(AdmitArguments),
}

/// What `admit` is told.
#[derive(Debug, Args)]
pub(super) struct AdmitArguments {
    /// The folder of the KMS
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The certificate: certificate.pem of the client's bundle, without its key
    #[arg(value_name = "FILE")]
    certificate: PathBuf,
    #[command(flatten)]
    given: MasterKeyArguments,
    /// A group whose keys a media server gets (repeatable)
    #[arg(long = "group", value_name = "GROUP", conflicts_with = "all_groups")]
    groups: Vec<GroupName>,
    /// A media server gets the keys of every group
    #[arg(long)]
    all_groups: bool,
}

pub(super) fn run(verb: CertificateVerb, machine: &Machine, out: &mut dyn Write) -> Done {
    let CertificateVerb::Admit(arguments) = verb;
    let config = KmsConfig::read(&arguments.folder)?;
    let shown = arguments.certificate.display();
    let pem = fs::read(&arguments.certificate)
        .map_err(|error| format!("read {shown}: {error}\nhint: it is certificate.pem of the client's bundle"))?;
    let binding = match (arguments.all_groups, arguments.groups) {
        (true, _) => Some(Binding::AllGroups),
        (false, groups) if groups.is_empty() => None,
        (false, groups) => Some(Binding::Groups(groups.into_iter().collect())),
    };
    let master = master_key::of_kms(&config, &arguments.given.given())?;
    let file = StoreFile::open_beside(&config.store, &master)?;
    let (entropy, now) = (&*machine.entropy, machine.clock.now());
    let record = file.admit_certificate(&pem, binding, (entropy, now))?;
    let (name, role, until) = (&record.name, record.role, record.not_after.date());
    writeln!(
        out,
        "admitted: {name}, role {role}, serial number {}, valid until {until}",
        record.serial
    )?;
    out.flush()?;
    Ok(())
}
