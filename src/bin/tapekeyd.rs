//! `tapekeyd`: the daemon on each host with drives. Here it is put together; what it does is in the library.

mod real {
    //! What only a program may ask of the machine.
    pub(crate) mod clock;
    pub(crate) mod drives;
}

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use nix::sys::stat::{Mode, umask};
use tapekey::cli::config::check;
use tapekey::cli::tapekeyd::DaemonArguments;
use tapekey::clock::Clock;
use tapekey::config::{Config, DeviceConfig, DevicePath, KeyScope, PlainBlocks};
use tapekey::control::{server, socket};
use tapekey::controller::operation::{self, Rules};
use tapekey::controller::runtime::Daemon;
use tapekey::controller::runtime::libraries::{FoundLibraries, GivenLibrary};
use tapekey::controller::runtime::start::{Given, GivenDrive};
use tapekey::discovery::Tree;
use tapekey::drive::SetScope;
use tapekey::journal;
use tapekey::keysource::kms::Kms;
use tapekey::keysource::none::NoKms;
use tapekey::keysource::{HeadBook, KeySource};
use tapekey::kms_client::KmsClient;
use tapekey::kms_client::renewal::keep_fresh;
use tapekey::secret::{keep_in_this_process, keep_out_of_swap};
use tapekey::systemd;
use tokio::signal::unix::{SignalKind, signal};

/// How long running jobs may take to end after SIGTERM.
const SETTLE_MAX: Duration = Duration::from_secs(15);

/// What a request to the KMS may take beyond the time of its addresses.
const KMS_MARGIN: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let arguments = DaemonArguments::parse();
    if journal::begin(arguments.log_json).is_err() {
        return ExitCode::FAILURE;
    }
    match keep_secrets_in().and_then(|()| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("tapekeyd cannot go on: {error}");
            ExitCode::FAILURE
        }
    }
}

/// No file that others can read, nothing for them in memory.
fn keep_secrets_in() -> Result<(), Box<dyn Error>> {
    umask(Mode::from_bits_truncate(0o077));
    keep_in_this_process()?;
    if let Err(error) = keep_out_of_swap() {
        tracing::warn!("{error}");
    }
    Ok(())
}

fn run(arguments: &DaemonArguments) -> Result<(), Box<dyn Error>> {
    let clock: Arc<dyn Clock> = Arc::new(real::clock::SystemClock::start());
    let (config, client) = check(&arguments.config, &clock)?;
    // Beside the jobs, in the folder that only the daemon writes.
    let heads = Arc::new(HeadBook::open(
        &config.state_directory.join("kms-heads.json"),
        clock.clone(),
    ));
    let client = client.map(|client| Arc::new(client.remembering(heads.clone())));
    let tree = Tree::below(Path::new("/"));
    let daemon = Daemon::new(Given {
        state_directory: config.state_directory.clone(),
        drives: config.drives.iter().map(|drive| given(&config, drive, &tree)).collect(),
        libraries: config
            .libraries
            .iter()
            .map(|library| given_library(library, &tree))
            .collect(),
        found_libraries: found_libraries(&tree),
        inquirer: Arc::new(real::drives::unit_serial_number),
        tree,
        clock,
        keys: keys(&config, client.clone())?,
        heads,
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(daemon, &config, client));
    // A drive or a disk that hangs must not keep us from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

fn keys(config: &Config, client: Option<Arc<KmsClient>>) -> Result<Arc<dyn KeySource>, Box<dyn Error>> {
    let (Some(kms), Some(client)) = (&config.kms, client) else {
        tracing::warn!("the configuration names no KMS: keys come from tapekey unlock --key-fd alone");
        return Ok(Arc::new(NoKms));
    };
    let nodes = u32::try_from(kms.addresses.len())?;
    let limit = kms.timeout.saturating_mul(nodes).saturating_add(KMS_MARGIN);
    Ok(Arc::new(Kms::new(client, limit)))
}

async fn serve(daemon: Arc<Daemon>, config: &Config, client: Option<Arc<KmsClient>>) -> Result<(), Box<dyn Error>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let group = config.control.group.as_ref().map(|group| group.gid);
    let listener = tokio::net::UnixListener::from_std(socket::listen(&config.control.socket, group)?)?;
    let allowed = server::Allowed {
        own_uid: nix::unistd::geteuid().as_raw(),
        group,
    };
    tracing::info!(socket = %config.control.socket.display(), drives = config.drives.len(), "tapekeyd is ready");
    let watch = tokio::spawn(daemon.clone().watch());
    let drives = config.drives.len();
    let first_look = tokio::spawn({
        let daemon = daemon.clone();
        async move {
            // Before a drive is asked anything, programs are kept off it where that is wanted.
            daemon.looked_around().await;
            systemd::ready(&format!("drives configured: {drives}"));
            daemon.look_at_all().await;
        }
    });
    let fresh = client.map(|client| tokio::spawn(keep_fresh(client)));
    tokio::select! {
        () = systemd::keep_alive() => {}
        failed = server::serve(listener, allowed, daemon.clone()) => failed?,
        _ = terminate.recv() => tracing::info!("SIGTERM"),
        _ = interrupt.recv() => tracing::info!("SIGINT"),
    }
    systemd::stopping();
    first_look.abort();
    watch.abort();
    if let Some(fresh) = fresh {
        fresh.abort();
    }
    match daemon.settle(SETTLE_MAX).await {
        0 => tracing::info!(
            "tapekeyd ends; drives are left as they are, with the keys they hold: programs may be using them"
        ),
        jobs => tracing::error!(
            jobs,
            "tapekeyd ends before its jobs; they will be marked as interrupted"
        ),
    }
    Ok(std::fs::remove_file(&config.control.socket)?)
}

fn given(config: &Config, drive: &DeviceConfig, tree: &Tree) -> GivenDrive {
    let (path, simulated) = for_people(&drive.path);
    GivenDrive {
        name: drive.name.clone(),
        path,
        by_serial: matches!(drive.path, DevicePath::Serial(_)),
        simulated,
        rules: rules(config, drive),
        command_timeout: drive.command_timeout,
        opener: real::drives::opener(drive, tree),
        hold: drive.hold.then(real::drives::tape_nodes),
    }
}

fn given_library(library: &DeviceConfig, tree: &Tree) -> GivenLibrary {
    let (path, simulated) = for_people(&library.path);
    GivenLibrary {
        name: library.name.clone(),
        serial: library.serial.clone(),
        path,
        simulated,
        command_timeout: library.command_timeout,
        opener: real::drives::changer_opener(library, tree),
    }
}

fn found_libraries(tree: &Tree) -> FoundLibraries {
    let tree = tree.clone();
    Box::new(move |serial| real::drives::found_library(serial, &tree))
}

/// A path in words, and whether it leads to a simulator.
fn for_people(path: &DevicePath) -> (String, bool) {
    match path {
        DevicePath::Serial(serial) => (format!("serial number {serial}"), false),
        DevicePath::Node(path) => (path.display().to_string(), false),
        DevicePath::Simulator { socket, .. } => (format!("sim:{}", socket.display()), true),
    }
}

fn rules(config: &Config, drive: &DeviceConfig) -> Rules {
    let allowed = |pool| config.policy.plain_blocks(pool) == PlainBlocks::Allow;
    Rules {
        expected_serial: drive.serial.clone(),
        finish_volumes: config.policy.finish_volumes,
        scope: match config.policy.scope {
            KeyScope::AllItNexus => SetScope::AllItNexus,
            KeyScope::Local => SetScope::Local,
        },
        plain_blocks: operation::PlainBlocks {
            otherwise: allowed(None),
            named: config
                .policy
                .named_pools()
                .map(|pool| (pool.to_owned(), allowed(Some(pool))))
                .collect(),
        },
    }
}
