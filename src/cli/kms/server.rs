//! `tapekey kms server`: external servers, from the first file to a server that is checked.

use clap::{Args, Subcommand, ValueEnum};

use super::failure;
use super::server_files::{Given, ServerFiles};
use crate::cli::output::{Exit, Failure, Output, Table};
use crate::clock::to_text;
use crate::kms_api::{
    AddServer, ChangeServer, CheckServer, CreateServerKey, GroupAttribute, GroupName, KeyName, KeyServerKind,
    RemoveServer, RemovedServer, SERVER_LIMIT_MS_DEFAULT, ServerCheck, ServerEndpoint, ServerName, ServerRecord,
    Verdict,
};
use crate::kms_client::KmsClient;

/// Verbs for external servers.
#[derive(Debug, Subcommand)]
pub(super) enum ServerVerb {
    /// Add an external KMIP server; it is asked from then on
    Add {
        /// What it is to be called
        name: ServerName,
        /// Where it is reached (repeatable, tried in order; all of them have the same keys)
        #[arg(long = "endpoint", value_name = "HOST:PORT", required = true)]
        endpoints: Vec<ServerEndpoint>,
        #[command(flatten)]
        files: ServerFiles,
        /// Its rank for backups, the highest first
        #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
        priority: i32,
        /// Ask it for restores only
        #[arg(long)]
        restore_only: bool,
        /// In which attribute its keys have their group
        #[arg(long, value_enum, value_name = "ATTRIBUTE", default_value_t = Attribute::Auto)]
        group_attribute: Attribute,
        /// How long one question to it may take, all endpoints included
        #[arg(long, value_name = "MS", default_value_t = SERVER_LIMIT_MS_DEFAULT)]
        limit_ms: u32,
        /// Do not restore with keys that it calls compromised
        #[arg(long)]
        no_compromised_restore: bool,
    },
    /// List the external servers, in the order in which they are asked
    List,
    /// Show everything about one server, but for its private key
    Show {
        /// Which
        name: ServerName,
    },
    /// Change what is named and leave the rest as it is; works on the running service
    Set {
        /// Which
        name: ServerName,
        #[command(flatten)]
        change: SetArgs,
    },
    /// Take a server out of the configuration; refused while volumes are known that were written under its keys
    Remove {
        /// Which
        name: ServerName,
        /// Accept that these volumes cannot be read any more; audited
        #[arg(long)]
        despite_volumes: bool,
    },
    /// Have the KMS look at a server: certificates, versions, how it searches. One line for each finding; exit code 1 if one failed
    Check {
        /// Which
        name: ServerName,
        /// Also fetch the newest key of this group and look at it; it goes nowhere
        #[arg(long, value_name = "GROUP")]
        group: Option<GroupName>,
    },
}

/// What `set` changes.
#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// Where it is reached, in place of all former endpoints (repeatable)
    #[arg(long = "endpoint", value_name = "HOST:PORT")]
    endpoints: Vec<ServerEndpoint>,
    #[command(flatten)]
    files: ServerFiles,
    /// Its rank for backups, the highest first
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,
    /// Ask it for restores only
    #[arg(long, conflicts_with = "for_backup")]
    restore_only: bool,
    /// Ask it for backups too
    #[arg(long)]
    for_backup: bool,
    /// In which attribute its keys have their group
    #[arg(long, value_enum, value_name = "ATTRIBUTE")]
    group_attribute: Option<Attribute>,
    /// How long one question to it may take, all endpoints included
    #[arg(long, value_name = "MS")]
    limit_ms: Option<u32>,
    /// Do not restore with keys that it calls compromised
    #[arg(long, conflicts_with = "compromised_restore")]
    no_compromised_restore: bool,
    /// Restore with keys that it calls compromised, too
    #[arg(long)]
    compromised_restore: bool,
    /// Accept other endpoints although volumes were written under its keys: the same store is behind them; audited
    #[arg(long, requires = "endpoints")]
    despite_volumes: bool,
}

/// As the command line spells it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Attribute {
    /// Found out by asking the server
    Auto,
    /// The custom attribute x-keygroup
    XKeygroup,
    /// Object Group
    ObjectGroup,
    /// Application Specific Information, namespace x-keygroup
    Asi,
}

impl From<Attribute> for GroupAttribute {
    fn from(attribute: Attribute) -> Self {
        match attribute {
            Attribute::Auto => Self::Auto,
            Attribute::XKeygroup => Self::XKeygroup,
            Attribute::ObjectGroup => Self::ObjectGroup,
            Attribute::Asi => Self::Asi,
        }
    }
}

/// Does what is asked and prints what came of it.
pub(super) async fn run(client: &KmsClient, verb: ServerVerb, output: &mut Output<'_>) -> Result<(), Failure> {
    match verb {
        ServerVerb::Add {
            name,
            endpoints,
            files,
            priority,
            restore_only,
            group_attribute,
            limit_ms,
            no_compromised_restore,
        } => {
            let (trust, credentials) = files.read()?.all()?;
            let wanted = AddServer {
                name,
                kind: KeyServerKind::Kmip,
                endpoints,
                priority,
                enabled_for_backup: !restore_only,
                group_attribute: group_attribute.into(),
                trust,
                credentials,
                limit_ms,
                allow_compromised_restore: !no_compromised_restore,
            };
            let added = client.add_server(&wanted).await.map_err(failure)?;
            let next = format!("now see whether it works: tapekey kms server check {}\n", added.name);
            output.answer(&added, |added| details(added) + &next)
        }
        ServerVerb::List => {
            let servers = client.servers().await.map_err(failure)?;
            output.answer(&servers, |servers| table(servers))
        }
        ServerVerb::Show { name } => {
            let server = client.server(&name).await.map_err(failure)?;
            output.answer(&server, details)
        }
        ServerVerb::Set { name, change } => {
            let changed = client.change_server(&name, &change.wanted()?).await.map_err(failure)?;
            output.answer(&changed, details)
        }
        ServerVerb::Remove { name, despite_volumes } => {
            let wanted = RemoveServer { despite_volumes };
            let removed = client.remove_server(&name, &wanted).await.map_err(failure)?;
            output.answer(&removed, farewell)
        }
        ServerVerb::Check { name, group } => {
            let check = client
                .check_server(&name, &CheckServer { group })
                .await
                .map_err(failure)?;
            output.answer(&check, findings)?;
            verdict(&check)
        }
    }
}

/// Has a server make a key, and prints it.
pub(super) async fn create_key(
    client: &KmsClient,
    server: &ServerName,
    (group, name): (GroupName, Option<KeyName>),
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let wanted = CreateServerKey { group, name };
    let created = client.create_server_key(server, &wanted).await.map_err(failure)?;
    output.answer(&created, |created| {
        let mut table = Table::new(&["server", "group", "state", "group in", "identifier", "name"]);
        table.row([
            server.to_string(),
            created.group.to_string(),
            created.state.to_string(),
            created.group_attribute.to_string(),
            created.identifier.clone(),
            created
                .name
                .as_ref()
                .map_or_else(|| "-".to_owned(), ToString::to_string),
        ]);
        table.to_string()
    })
}

impl SetArgs {
    fn wanted(self) -> Result<ChangeServer, Failure> {
        let Given { trust, credentials } = self.files.read()?;
        let one_of = |yes: bool, no: bool| (yes || no).then_some(yes);
        let wanted = ChangeServer {
            endpoints: Some(self.endpoints).filter(|endpoints| !endpoints.is_empty()),
            priority: self.priority,
            enabled_for_backup: one_of(self.for_backup, self.restore_only),
            group_attribute: self.group_attribute.map(GroupAttribute::from),
            trust,
            credentials,
            limit_ms: self.limit_ms,
            allow_compromised_restore: one_of(self.compromised_restore, self.no_compromised_restore),
            despite_volumes: self.despite_volumes,
        };
        match wanted.is_empty() {
            true => Err(Failure::new(
                Exit::Usage,
                "nothing is to be changed\nhint: tapekey kms server set --help lists what can be; tapekey kms server show NAME how it is",
            )),
            false => Ok(wanted),
        }
    }
}

fn table(servers: &[ServerRecord]) -> String {
    let mut table = Table::new(&["server", "kind", "address", "priority", "used for", "state"]);
    for server in servers {
        table.row([
            server.name.to_string(),
            server.kind.to_string(),
            address(server),
            server.priority.to_string(),
            used_for(server).to_owned(),
            state(server),
        ]);
    }
    table.to_string()
}

fn address(server: &ServerRecord) -> String {
    let endpoints: Vec<_> = server.endpoints.iter().map(ToString::to_string).collect();
    match endpoints.is_empty() {
        true => "unknown".to_owned(),
        false => endpoints.join(" "),
    }
}

fn used_for(server: &ServerRecord) -> &'static str {
    match server.enabled_for_backup {
        true => "backup, restore",
        false => "restore",
    }
}

/// The worst that is known of it.
fn state(server: &ServerRecord) -> String {
    if let Some(why) = &server.failure {
        return format!("CANNOT BE USED: {why}");
    }
    let ending = server
        .certificates
        .iter()
        .filter_map(|one| Some((one.expiry?, one.role)));
    if let Some((expiry, role)) = ending.max_by_key(|(expiry, _)| *expiry) {
        return format!("{} certificate {expiry}", role.name());
    }
    match &server.last {
        None => "not asked yet".to_owned(),
        Some(last) => format!("{} at {}", last.result, to_text(last.at)),
    }
}

fn details(server: &ServerRecord) -> String {
    let mut table = Table::without_headings();
    table.row(["server", server.name.as_str()]);
    table.row(["kind", &server.kind.to_string()]);
    for endpoint in &server.endpoints {
        table.row(["endpoint", &endpoint.to_string()]);
    }
    table.row(["priority", &server.priority.to_string()]);
    table.row(["used for", used_for(server)]);
    table.row(["group attribute", server.group_attribute.name()]);
    table.row(["limit", &format!("{} ms for one question", server.limit_ms)]);
    let compromised = match server.allow_compromised_restore {
        true => "restore what was written under them",
        false => "are not used",
    };
    table.row(["compromised keys", compromised]);
    for certificate in &server.certificates {
        let subject = certificate
            .subject
            .as_ref()
            .map_or_else(String::new, |subject| format!("{subject} "));
        let near = certificate
            .expiry
            .map_or_else(String::new, |expiry| format!(": {expiry}"));
        let text = format!("{subject}until {}{near}", to_text(certificate.not_after));
        table.row([&format!("{} certificate", certificate.role.name()), &text]);
    }
    for group in &server.groups {
        table.row(["group bound to it", group.as_str()]);
    }
    table.row(["added", &to_text(server.created)]);
    table.row(["changed", &to_text(server.modified)]);
    table.row(["state", &state(server)]);
    table.to_string()
}

fn farewell(removed: &RemovedServer) -> String {
    let mut text = format!("{} is asked no more; its keys are still in it\n", removed.name);
    for volume in &removed.volumes {
        text.push_str(&format!("its key is in nobody's reach now: {volume}\n"));
    }
    text
}

fn findings(check: &ServerCheck) -> String {
    let mut table = Table::new(&["verdict", "what", "seen", "what to do"]);
    for finding in &check.findings {
        table.row([
            finding.verdict.to_string(),
            finding.what.clone(),
            finding.text.clone(),
            finding.remedy.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table.to_string()
}

/// A failure if any finding is one.
fn verdict(check: &ServerCheck) -> Result<(), Failure> {
    let failed = check
        .findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Failed);
    match failed.count() {
        0 => Ok(()),
        failed => Err(Failure::new(
            Exit::Failed,
            format_args!(
                "server {} does not work as it should: {failed} of {} findings failed\nhint: the last column says what to do",
                check.server,
                check.findings.len()
            ),
        )),
    }
}
