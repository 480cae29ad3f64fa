//! What the drives do now, as just read from them. A drive that is busy or hangs is shown as such and not waited for.

use std::sync::Arc;
use std::time::Duration;

use super::lane::{Heard, InFlight, Lane, LaneError};
use super::mount::Seen;
use super::{Daemon, DriveUnit};
use crate::controller::record::{decryption_word, encryption_word};
use crate::controller::report::{
    CommandInFlight, DriveStatus, IdentityStatus, MediumStatus, ModesStatus, Reading, StatusReport,
};
use crate::drive::{Drive, DriveError, DriveIdentity, KeyInForce, Readiness, VolumeIdentity};

/// How long a look at a drive may take.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// What a look at a drive shows.
struct Look {
    identity: Result<DriveIdentity, DriveError>,
    medium: Result<(Readiness, Option<VolumeIdentity>), DriveError>,
    in_force: Result<KeyInForce, DriveError>,
}

/// Looks; once more if the path was lost while nobody used it, since it is opened anew then.
async fn look_through(lane: &Lane) -> Result<Heard<Result<Look, DriveError>>, LaneError> {
    const NAME: &str = "read the drive's state";
    let first = lane.call(NAME, LOOK_MAX, look, |_, _| {}).await;
    match &first {
        Ok(Heard { answer: Err(error), .. }) if error.is_path_lost() => {
            lane.call(NAME, LOOK_MAX, look, |_, _| {}).await
        }
        _ => first,
    }
}

fn look(drive: &mut Drive) -> Result<Look, DriveError> {
    // Without an answer to the first, the others would only wait as long again.
    let identity = match drive.identify() {
        Err(error @ DriveError::Transport { .. }) => return Err(error),
        other => other,
    };
    let medium = drive.readiness().and_then(|readiness| match readiness {
        Readiness::Ready => drive.volume().map(|volume| (readiness, Some(volume))),
        _ => Ok((readiness, None)),
    });
    Ok(Look {
        identity,
        medium,
        in_force: drive.read_back(),
    })
}

impl Daemon {
    /// Looks at `units`, all at once.
    pub(super) async fn look_at(&self, units: Vec<Arc<DriveUnit>>) -> StatusReport {
        let looks = units.iter().map(|unit| self.look_at_one(unit));
        let drives = join_all(looks.collect()).await;
        StatusReport {
            at: self.clock.now(),
            drives,
        }
    }

    async fn look_at_one(&self, unit: &DriveUnit) -> DriveStatus {
        let running = unit.state().running.clone();
        let (identity, medium, modes) = match &running {
            Some(job) => unknown(&format!("not read: job {} is running on it", job.id)),
            None => match look_through(&unit.lane).await {
                Ok(Heard { answer, attentions }) => self.shown(unit, answer, attentions).await,
                Err(error) => unknown(&one_line(&error)),
            },
        };
        let state = unit.state();
        DriveStatus {
            name: unit.name.clone(),
            path: unit.path.clone(),
            simulated: unit.simulated,
            identity,
            medium,
            modes,
            job: running,
            command: unit.lane.in_flight().map(command),
            loaded_by: state.mount.as_ref().map(|mount| mount.job),
            alarms: state.alarms.clone(),
        }
    }

    async fn shown(
        &self,
        unit: &DriveUnit,
        answer: Result<Look, DriveError>,
        attentions: Vec<crate::drive::Attention>,
    ) -> (Reading<IdentityStatus>, Reading<MediumStatus>, Reading<ModesStatus>) {
        let mut seen = Seen {
            attentions,
            ..Seen::default()
        };
        let shown = match answer {
            Err(error) => unknown(&one_line(&error)),
            Ok(look) => {
                seen.medium = match &look.medium {
                    Ok((Readiness::NoMedium, _)) => Some(None),
                    Ok((Readiness::Ready, volume)) => Some(volume.clone()),
                    _ => None,
                };
                seen.in_force = look.in_force.as_ref().ok().cloned();
                (
                    reading(look.identity.map(identity)),
                    medium_reading(look.medium),
                    reading(look.in_force.map(modes)),
                )
            }
        };
        unit.state().wrong_keys.keep_while_mounted(&seen);
        self.conclude(unit, &seen).await;
        shown
    }
}

fn unknown(why: &str) -> (Reading<IdentityStatus>, Reading<MediumStatus>, Reading<ModesStatus>) {
    (
        Reading::Unknown(why.into()),
        Reading::Unknown(why.into()),
        Reading::Unknown(why.into()),
    )
}

fn reading<T>(read: Result<T, DriveError>) -> Reading<T> {
    read.map_or_else(|error| Reading::Unknown(one_line(&error)), Reading::Known)
}

fn one_line(error: &impl ToString) -> String {
    error.to_string().replace("\nhint: ", "; ").replace('\n', " ")
}

fn identity(identity: DriveIdentity) -> IdentityStatus {
    let DriveIdentity {
        vendor,
        product,
        revision,
        serial,
        ..
    } = identity;
    IdentityStatus {
        vendor,
        product,
        revision,
        serial,
    }
}

fn medium_reading(read: Result<(Readiness, Option<VolumeIdentity>), DriveError>) -> Reading<MediumStatus> {
    match read {
        Err(error) => Reading::Unknown(one_line(&error)),
        Ok((Readiness::NoMedium, _)) => Reading::Known(MediumStatus::Empty),
        Ok((Readiness::BecomingReady, _)) => Reading::Known(MediumStatus::BecomingReady),
        Ok((Readiness::NotReady { sense }, _)) => Reading::Unknown(format!("the drive is not ready: {sense}")),
        Ok((Readiness::Ready, volume)) => {
            let VolumeIdentity {
                medium_serial: serial,
                barcode,
                pool,
            } = volume.unwrap_or_default();
            Reading::Known(MediumStatus::Volume { serial, barcode, pool })
        }
    }
}

fn modes(in_force: KeyInForce) -> ModesStatus {
    let kad = &in_force.unauthenticated_kad;
    ModesStatus {
        encryption: encryption_word(in_force.encryption_mode),
        decryption: decryption_word(in_force.decryption_mode),
        key_instance_counter: in_force.key_instance_counter,
        key_id: in_force.our_kad().map(|kad| kad.key_id().to_string()),
        kad: (!kad.is_empty()).then(|| hex::encode(kad)),
    }
}

fn command(call: InFlight) -> CommandInFlight {
    CommandInFlight {
        name: call.name.into(),
        since: call.since,
        seconds: call.elapsed.as_secs(),
        overdue: call.is_overdue(),
    }
}

/// Waits for all, side by side, and keeps their order.
async fn join_all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut all_ready = true;
        for (future, output) in &mut futures {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => all_ready = false,
                }
            }
        }
        if all_ready {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}
