//! `tapekey kms certificate`: who holds which certificate, until when, for which groups.

use clap::{Args, Subcommand};

use super::failure;
use crate::cli::output::{Exit, Failure, Output, Table};
use crate::clock::to_text;
use crate::kms_api::{BindGroups, Binding, CertificateRecord, ClientName, GroupName, RevokeCertificates};
use crate::kms_client::KmsClient;

/// Verbs for certificates.
#[derive(Debug, Subcommand)]
pub(super) enum CertificateVerb {
    /// List the certificates that the KMS issued to clients
    List,
    /// End a client's certificates before their time, at once and on open connections too
    Revoke {
        /// Whose
        name: ClientName,
        /// Only the one with this serial number
        #[arg(long, value_name = "HEX")]
        serial: Option<String>,
    },
    /// Bind a media server to other groups, at once; those that are not named are no longer its own
    Bind {
        /// Which media server
        name: ClientName,
        #[command(flatten)]
        groups: GroupsArgs,
    },
    /// Get a new certificate for the bundle in use, and write it into the bundle
    Renew,
}

/// The groups of a media server. There are no patterns: a pattern would admit groups that somebody makes later.
#[derive(Debug, Args)]
pub(super) struct GroupsArgs {
    /// A group whose keys it gets (repeatable)
    #[arg(long = "group", value_name = "GROUP", conflicts_with = "all_groups")]
    groups: Vec<GroupName>,
    /// The keys of every group, also of those made later
    #[arg(long)]
    all_groups: bool,
}

impl GroupsArgs {
    /// What was asked for, if anything was.
    pub(super) fn binding(self) -> Option<Binding> {
        if self.all_groups {
            Some(Binding::AllGroups)
        } else {
            (!self.groups.is_empty()).then(|| Binding::Groups(self.groups.into_iter().collect()))
        }
    }
}

/// Does what is asked and prints the certificates that it was done to.
pub(super) async fn run(client: &KmsClient, verb: CertificateVerb, output: &mut Output<'_>) -> Result<(), Failure> {
    let certificates = match verb {
        CertificateVerb::List => client.certificates().await.map_err(failure)?,
        CertificateVerb::Revoke { name, serial } => {
            let wanted = RevokeCertificates { serial };
            client.revoke(&name, &wanted).await.map_err(failure)?
        }
        CertificateVerb::Bind { name, groups } => {
            let binding = groups.binding().ok_or_else(|| {
                Failure::new(Exit::Usage, "no group is named\nhint: --group GROUP (repeatable), or --all-groups; to give it nothing, revoke it")
            })?;
            client
                .bind_groups(&name, &BindGroups { binding })
                .await
                .map_err(failure)?
        }
        CertificateVerb::Renew => {
            let renewed = client
                .renew()
                .await
                .map_err(|error| Failure::new(Exit::Failed, error))?;
            vec![renewed]
        }
    };
    output.answer(&certificates, |certificates| table(certificates))
}

/// A table of certificates.
pub(super) fn table(certificates: &[CertificateRecord]) -> String {
    let mut table = Table::new(&["name", "role", "groups", "serial", "until", "state"]);
    for certificate in certificates {
        let binding = certificate.binding.as_ref();
        table.row([
            certificate.name.to_string(),
            certificate.role.to_string(),
            binding.map_or_else(|| "-".to_owned(), ToString::to_string),
            certificate.serial.clone(),
            to_text(certificate.not_after),
            state(certificate),
        ]);
    }
    table.to_string()
}

fn state(certificate: &CertificateRecord) -> String {
    match (&certificate.ended, certificate.expiry) {
        (Some(ended), _) => format!("{} {} by {}", ended.why.name(), to_text(ended.at), ended.by),
        (None, Some(expiry)) => expiry.to_string(),
        (None, None) => "valid".to_owned(),
    }
}
