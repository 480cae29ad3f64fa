//! What the drives do now, as just read from them. A drive that is busy or hangs is shown as such and not waited for.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::lane::{Heard, InFlight, LaneError, Patience};
use super::list::LastLook;
use super::mount::{Judgement, Seen, judge};
use super::surroundings::Surroundings;
use super::{Daemon, DriveUnit};
use crate::clock::Timestamp;
use crate::controller::job::{JobMessage, Level, Outcome};
use crate::controller::record::{decryption_word, encryption_word};
use crate::controller::report::{
    CommandInFlight, DriveStatus, IdentityStatus, MediumStatus, ModesStatus, Reading, StatusReport,
};
use crate::discovery::openers::{Opener, Openers};
use crate::drive::{Drive, DriveError, DriveIdentity, KeyInForce, Readiness, VolumeIdentity};
use crate::gate::Event;
use crate::keysource::HeadAlarm;

/// How long a status waits for a drive.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// What people are shown of a drive.
type Shown = (Reading<IdentityStatus>, Reading<MediumStatus>, Reading<ModesStatus>);

/// What a look at a drive shows.
struct Look {
    identity: Result<DriveIdentity, DriveError>,
    medium: Result<(Readiness, Option<VolumeIdentity>), DriveError>,
    in_force: Result<KeyInForce, DriveError>,
}

/// Looks; once more if the path was lost while nobody used it, since it is opened anew then.
async fn look_through(unit: &DriveUnit) -> Result<Heard<Result<Look, DriveError>>, LaneError> {
    let patience = Patience {
        wait: LOOK_MAX,
        // A drive that locates or loads may be busy for longer than anybody waits for a status, and does not hang.
        may_take: unit.command_timeout.max(LOOK_MAX),
    };
    let ask = || unit.lane.call("read the drive's state", patience, look, |_, _| {});
    let first = ask().await;
    match &first {
        Ok(Heard { answer: Err(error), .. }) if error.is_path_lost() => ask().await,
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
    /// Looks at `units`, all at once; at those on which a program may be writing only if `also_in_use`.
    pub(super) async fn look_at(&self, units: Vec<Arc<DriveUnit>>, also_in_use: bool) -> StatusReport {
        let around = self.surroundings().await;
        let looks = units.iter().map(|unit| self.look_at_one(unit, &around, also_in_use));
        let drives = join_all(looks.collect()).await;
        StatusReport {
            at: self.clock.now(),
            drives,
            kms_alarms: self.kms_alarms(),
        }
    }

    /// What somebody has to look at in the KMS.
    pub(super) fn kms_alarms(&self) -> Vec<JobMessage> {
        let alarms = self.heads.alarms().into_iter();
        let message = |alarm: HeadAlarm| JobMessage {
            at: alarm.at,
            level: Level::Alarm,
            text: alarm.text,
            hint: Some(alarm.hint),
        };
        let end_of_certificate = self.keys.alarm().map(|text| JobMessage {
            at: self.clock.now(),
            level: Level::Alarm,
            text,
            hint: Some("tapekey kms certificate renew with the daemon's bundle, or enroll this host again".to_owned()),
        });
        alarms.map(message).chain(end_of_certificate).collect()
    }

    async fn look_at_one(&self, unit: &DriveUnit, around: &Surroundings, also_in_use: bool) -> DriveStatus {
        let running = unit.state().running.clone();
        // A drive that is held is asked without fear of a program, so it must stay so until it has answered.
        let stands_still = unit.gate_stands_still().await;
        let (identity, medium, modes) = match (&running, self.why_not_to_ask(unit, around)) {
            (Some(job), _) => unread(&Reading::Unknown(format!("not read: job {} is running on it", job.id))),
            (None, Some(why)) if !also_in_use => {
                unread(&Reading::NotAsked(format!("{why}; tapekey status --look asks it")))
            }
            (None, _) if stands_still.is_none() => unread(&Reading::Unknown("its gate is busy; ask again".into())),
            (None, _) => match look_through(unit).await {
                Ok(Heard { answer, attentions }) => {
                    let (shown, key_stands) = self.shown(unit, answer, attentions).await;
                    drop(stands_still);
                    if !key_stands {
                        self.at_gate(unit, Event::KeyLost).await;
                    }
                    shown
                }
                Err(error) => unread(&Reading::Unknown(one_line(&error))),
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
            gate: unit.gate_status(),
            alarms: state.alarms.clone(),
        }
    }

    /// Why a program may be using the drive, so that a command of ours could take a unit attention from it.
    fn why_not_to_ask(&self, unit: &DriveUnit, around: &Surroundings) -> Option<String> {
        if unit.is_held() {
            return None;
        }
        if let Some(programs) = self.program_in(unit, around) {
            return Some(format!("{programs} has its tape node open"));
        }
        if unit.gate.is_some() {
            return Some("it is not held, and a program may be using it".to_owned());
        }
        let devices = around.of_unit(unit);
        if !devices.is_empty() && around.openers_of(&devices) == Openers::Unknown {
            return Some("a program may have its tape node open, and the daemon may not see whose is open".to_owned());
        }
        let job = self.may_be_written_on(unit)?;
        Some(format!("job {job} left its key in it, and a program may be writing"))
    }

    /// The programs that are known to have the drive's tape node open.
    pub(super) fn program_in(&self, unit: &DriveUnit, around: &Surroundings) -> Option<String> {
        let Openers::These(openers) = around.openers_of(&around.of_unit(unit)) else {
            return None;
        };
        let name = |opener: &Opener| format!("{} ({})", opener.program.as_deref().unwrap_or("process"), opener.pid);
        Some(openers.iter().map(name).collect::<Vec<_>>().join(", "))
    }

    /// The job that left a key in the drive, as the last that is known of it. After an interrupted job nobody was told to write.
    fn may_be_written_on(&self, unit: &DriveUnit) -> Option<u64> {
        let newest = self.jobs.list(Some(&unit.name), 1);
        let interrupted = newest.iter().any(|job| job.outcome == Outcome::Interrupted);
        unit.state()
            .mount
            .as_ref()
            .map(|mount| mount.job)
            .filter(|_| !interrupted)
    }

    /// Looks at a drive whose nodes are held, and draws the conclusions. What it showed, or why it did not say.
    pub(super) async fn look_under_hold(&self, unit: &DriveUnit) -> Result<Seen, String> {
        let Heard { answer, attentions } = look_through(unit).await.map_err(|error| one_line(&error))?;
        let seen = seen(&answer, attentions.clone());
        self.shown(unit, answer, attentions).await;
        Ok(seen)
    }

    /// What a look showed, and whether nothing in it speaks against the key that a job left.
    async fn shown(
        &self,
        unit: &DriveUnit,
        answer: Result<Look, DriveError>,
        attentions: Vec<crate::drive::Attention>,
    ) -> (Shown, bool) {
        let seen = seen(&answer, attentions);
        let shown = match answer {
            Err(error) => unread(&Reading::Unknown(one_line(&error))),
            Ok(look) => (
                reading(look.identity.map(identity)),
                medium_reading(look.medium),
                reading(look.in_force.map(modes)),
            ),
        };
        unit.remember(self.clock.now(), &shown.0, &shown.1);
        unit.state().wrong_keys.keep_while_mounted(&seen);
        let mount = unit.state().mount.clone();
        let key_stands = mount.is_none_or(|mount| judge(&mount, &seen) == Judgement::Intact);
        self.conclude(unit, &seen).await;
        (shown, key_stands)
    }
}

impl DriveUnit {
    /// Keeps what the drive said for those who ask without asking it. What it could not say leaves its identity as it was.
    fn remember(&self, at: Timestamp, identity: &Reading<IdentityStatus>, medium: &Reading<MediumStatus>) {
        let mut state = self.state();
        let identity = match identity {
            Reading::Known(identity) => Some(identity.clone()),
            _ => state.last_look.take().and_then(|last| last.identity),
        };
        state.last_look = Some(LastLook {
            at,
            identity,
            medium: medium.clone(),
        });
    }
}

/// What a look means for the key that was left in the drive.
fn seen(answer: &Result<Look, DriveError>, attentions: Vec<crate::drive::Attention>) -> Seen {
    let Ok(look) = answer else {
        return Seen {
            attentions,
            ..Seen::default()
        };
    };
    Seen {
        attentions,
        medium: match &look.medium {
            Ok((Readiness::NoMedium | Readiness::CleaningCartridge, _)) => Some(None),
            Ok((Readiness::Ready, volume)) => Some(volume.clone()),
            _ => None,
        },
        in_force: look.in_force.as_ref().ok().cloned(),
    }
}

/// The same `why` for everything that a look would have shown.
fn unread(why: &Reading<Infallible>) -> Shown {
    (why.of_another(), why.of_another(), why.of_another())
}

impl Reading<Infallible> {
    fn of_another<T>(&self) -> Reading<T> {
        match self {
            Self::Known(never) => match *never {},
            Self::Unknown(why) => Reading::Unknown(why.clone()),
            Self::NotAsked(why) => Reading::NotAsked(why.clone()),
        }
    }
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
        Ok((Readiness::CleaningCartridge, _)) => Reading::Known(MediumStatus::CleaningCartridge),
        Ok((Readiness::BecomingReady, _)) => Reading::Known(MediumStatus::BecomingReady),
        Ok((Readiness::NotReady { sense }, _)) => Reading::Unknown(format!("the drive is not ready: {sense}")),
        Ok((Readiness::Ready, volume)) => {
            let VolumeIdentity {
                medium_serial: serial,
                barcode,
                pool,
                cleaning,
            } = volume.unwrap_or_default();
            Reading::Known(if cleaning {
                MediumStatus::CleaningCartridge
            } else {
                MediumStatus::Volume { serial, barcode, pool }
            })
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
pub(super) async fn join_all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
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
