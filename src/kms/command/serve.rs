//! `tapekey-kms serve DIR`.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::master_key::MasterKeyArguments;
use super::{Done, Machine};
use crate::journal;
use crate::kms::config::KmsConfig;
use crate::kms::master_key;
use crate::kms::select::Selection;
use crate::kms::server::Server;
use crate::kms::service::Kms;
use crate::kms::store::StoreFile;
use crate::secret::keep_out_of_swap;
use crate::systemd;

/// What `serve` is told.
#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// The folder that `tapekey-kms init` made
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Listen here instead of where kms.toml says; port 0 takes any free one, which the ready line names
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Answer health, readiness and metrics here, to anybody and without TLS, instead of where kms.toml says
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<SocketAddr>,
    /// Log as one JSON object a line
    #[arg(long)]
    log_json: bool,
    #[command(flatten)]
    given: MasterKeyArguments,
}

pub(super) async fn run(arguments: &ServeArguments, machine: Machine, out: &mut dyn Write) -> Done {
    // Where a test of this process logs already, that goes on.
    let _ = journal::begin(arguments.log_json);
    if let Err(error) = keep_out_of_swap() {
        tracing::warn!("{error}");
    }
    let mut config = KmsConfig::read(&arguments.folder)?;
    if let Some(listen) = arguments.listen {
        config.listen = listen;
    }
    config.metrics_listen = arguments.metrics_listen.or(config.metrics_listen);
    let master = master_key::of_kms(&config, &arguments.given.given())?;
    let file = StoreFile::open(&config.store, &master)?;
    drop(master);
    let selection = Selection::built_in_only(config.fall_back_when_unreachable, machine.clock.clone());
    let kms = Kms::start(file, machine.clock.clone(), machine.entropy)?;
    kms.limit_releases(config.releases.clone());
    let kms = Arc::new(kms.with_snapshots(config.snapshots.clone()).with_servers(selection));
    let server = Server::bind(&config, kms, machine.clock).await?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let address = server.address()?;
    if let Some(address) = server.metrics_address()? {
        writeln!(out, "tapekey-kms: health and metrics on http://{address}")?;
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "health and metrics can be read by anybody who reaches this address");
        }
    }
    writeln!(out, "tapekey-kms: ready on https://{address}")?;
    out.flush()?;
    tracing::info!(%address, "ready");
    systemd::ready(&format!("serving on https://{address}"));
    server
        .run(async {
            tokio::select! {
                () = systemd::keep_alive() => {}
                _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
                _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
            }
            systemd::stopping();
        })
        .await;
    tracing::info!("stopped");
    Ok(())
}
