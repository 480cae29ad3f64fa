//! What the service manager is told, where there is one (`sd_notify(3)`): ready, alive, stopping. It learns no secret.
//!
//! Nothing here can fail a service: a manager that does not listen is logged, and systemd itself then acts on the silence.

use std::time::Duration;

use sd_notify::NotifyState;

/// From when on the service answers; `status` is shown by `systemctl status`.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// From when on it takes nothing more.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says at half of the watchdog's time that the service is alive, for as long as tasks of this runtime run at all. Without a watchdog it waits
/// for ever, so that it can stand in a `select!`.
pub async fn keep_alive() {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    // A zero would make the timer panic.
    let mut beat = tokio::time::interval((limit / 2).max(Duration::from_millis(1)));
    loop {
        beat.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd cannot be told how this service is; see NOTIFY_SOCKET");
    }
}
