//! Does what the state machine asks: drive calls on the drive's thread, key requests, look-ups in the job records.
//!
//! The one place where a key is held between the key source and the drive; it is wiped when the job ends.

mod ahead;

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use self::ahead::Ahead;
use super::hold::Hold;
use super::lane::{Heard, LaneError, PathLoss};
use super::{Daemon, DriveUnit};
use crate::clock::Timestamp;
use crate::controller::operation::Wish;
use crate::controller::step::{Ask, Event, Failure, FailureKind, Receipt};
use crate::drive::{Attention, Drive, DriveError, KeyParameters, LoadKeyError, Readiness, Trial};
use crate::kad::{BlockKads, KeyId, OurKad};
use crate::keysource::{FetchedKey, FoundKeys, KeySourceError};
use crate::library::Volume;
use crate::secret::DataKey;

/// How long one movement of the tape may take, beyond the limit that the drive is given for it.
const MOVEMENT_MAX: Duration = Duration::from_secs(3600);

/// Commands in a row that one drive call may have to wait for in full.
const SLOW_COMMANDS_MAX: u32 = 4;

/// The hands of one job.
pub(super) struct Hands<'a> {
    daemon: &'a Daemon,
    unit: &'a DriveUnit,
    key: Option<Arc<DataKey>>,
    candidates: Vec<Arc<DataKey>>,
    given: Option<DataKey>,
    /// The drive's tape nodes, held so that no program can open it.
    held: Vec<File>,
    /// The job, which stands for a given key among those that were wrong: such a key has no id.
    job: u64,
    begun: Timestamp,
    wish: Wish,
    ahead: Option<Ahead>,
}

/// What came back.
pub(super) struct Performed {
    pub(super) event: Event,
    pub(super) attentions: Vec<Attention>,
}

impl From<Event> for Performed {
    fn from(event: Event) -> Self {
        Self {
            event,
            attentions: Vec::new(),
        }
    }
}

impl<'a> Hands<'a> {
    pub(super) fn new(
        daemon: &'a Daemon,
        unit: &'a DriveUnit,
        job: u64,
        (wish, given): (Wish, Option<DataKey>),
    ) -> Self {
        Self {
            daemon,
            unit,
            key: None,
            candidates: Vec::new(),
            given,
            held: Vec::new(),
            job,
            begun: daemon.clock.now(),
            wish,
            ahead: None,
        }
    }

    pub(super) async fn perform(&mut self, ask: Ask) -> Performed {
        match ask {
            Ask::Identify => self.identify().await,
            Ask::Readiness => self.readiness().await,
            Ask::Volume => {
                self.drive("read the volume's identity", Drive::volume, Event::Volume)
                    .await
            }
            Ask::Offer => {
                self.drive("ask what the drive offers", Drive::encryption, |_| Event::Offered)
                    .await
            }
            Ask::Beginning => {
                self.drive(
                    "look at the beginning of the volume",
                    Drive::beginning,
                    Event::Beginning,
                )
                .await
            }
            Ask::InForce => {
                self.drive("read back the key in force", Drive::read_back, Event::InForce)
                    .await
            }
            Ask::Proof => self.drive("take the proof", Drive::proof, Event::Proof).await,
            Ask::HoldNode => self.hold_node().await.into(),
            Ask::Rewind => {
                self.movement("rewind the tape", Drive::rewind, |()| Event::Rewound)
                    .await
            }
            Ask::LookHere => {
                self.drive("look what stands on the tape", Drive::look_here, Event::Place)
                    .await
            }
            Ask::NextFile => {
                self.movement("space to the next file", Drive::next_file, Event::Spaced)
                    .await
            }
            Ask::ClearKey => self.clear_key().await,
            Ask::LoadKey(parameters) => self.load_key(parameters).await,
            Ask::TryKey { candidate, parameters } => self.try_key(candidate, parameters).await,
            Ask::Pause(pause) => {
                tokio::time::sleep(pause).await;
                Event::Paused.into()
            }
            Ask::KadOf(volume) => {
                let serial = volume.medium_serial.as_deref();
                Event::KadOf(serial.and_then(|serial| self.daemon.jobs.kad_of(serial))).into()
            }
            Ask::VolumeOf(kad) => Event::VolumeOf(self.daemon.jobs.volume_of(kad)).into(),
            Ask::NewKey { group, volume } => match self.new_key(group, volume).await {
                Ok(fetched) => Event::NewKey(self.keep(fetched)).into(),
                Err(error) => no_key(&error),
            },
            Ask::KeysOf { kads, volume } => match self.known_keys(kads, volume).await {
                Ok(found) => self.keep_found(found).into(),
                Err(error) => no_key(&error),
            },
            Ask::CheckGiven { kads } => self.check_given(&kads).into(),
        }
    }

    fn check_given(&mut self, kads: &BlockKads) -> Event {
        let Some(key) = self.given.take() else {
            return Event::Failed(Failure::new(
                FailureKind::Unchanged,
                "a bug in tapekeyd: no key was given\nhint: please report it with the daemon's log",
            ));
        };
        let ours = OurKad::decode(&kads.unauthenticated).filter(|_| kads.authenticated.is_empty());
        let Some(kad) = ours else {
            self.candidates = vec![Arc::new(key)];
            return Event::GivenUnchecked {
                id: KeyId(u128::from(self.job).to_be_bytes()),
                wrong: self.unit.state().wrong_keys.ids.clone(),
            };
        };
        match kad.verify(&key) {
            Ok(()) => {
                self.key = Some(Arc::new(key));
                Event::GivenFits(kad)
            }
            Err(failed) => {
                let text = format!(
                    "the key that was given is not the one of this volume: {failed} ({kad})\nhint: recover the key for this very KAD"
                );
                Event::Failed(Failure::new(FailureKind::Unchanged, text))
            }
        }
    }

    fn keep(&mut self, fetched: FetchedKey) -> crate::keysource::KeyFacts {
        self.key = Some(Arc::new(fetched.key));
        fetched.facts
    }

    fn keep_found(&mut self, found: FoundKeys) -> Event {
        // For a KAD of ours there is at most one; any other is dropped here and wiped.
        let best = found.keys.into_iter().next().map(|fetched| self.keep(fetched));
        let (keys, facts) = found
            .candidates
            .into_iter()
            .map(|candidate| (Arc::new(candidate.key), candidate.facts))
            .unzip();
        self.candidates = keys;
        Event::KeysOf {
            keys: best.into_iter().collect(),
            candidates: facts,
            wrong: self.unit.state().wrong_keys.ids.clone(),
            outcomes: found.outcomes,
        }
    }

    fn limit(&self) -> Duration {
        self.unit.command_timeout.saturating_mul(SLOW_COMMANDS_MAX)
    }

    async fn drive<T: Send + 'static, E: PathLoss + From<DriveError>>(
        &self,
        name: &'static str,
        work: impl FnOnce(&mut Drive) -> Result<T, E> + Send + 'static,
        event: impl FnOnce(T) -> Event,
    ) -> Performed
    where
        Failure: From<E>,
    {
        heard(
            self.unit.lane.call(name, self.limit(), work, |_, _| {}).await,
            event,
            FailureKind::Unchanged,
        )
    }

    /// Held until the job has ended.
    async fn hold_node(&mut self) -> Event {
        match self.daemon.keep_out(self.unit, Hold::ANode).await {
            Ok(held) => {
                self.held = held;
                Event::Held
            }
            Err(error) => Event::Failed(Failure::new(FailureKind::Unchanged, error)),
        }
    }

    /// What may take the drive as long as its way over the whole tape.
    async fn movement<T: Send + 'static>(
        &self,
        name: &'static str,
        work: fn(&mut Drive) -> Result<T, DriveError>,
        event: impl FnOnce(T) -> Event,
    ) -> Performed {
        let answer = self.unit.lane.call(name, MOVEMENT_MAX, work, |_, _| {}).await;
        heard(answer, event, FailureKind::Unchanged)
    }

    /// The first question of a job. The path may have been lost while nobody used it (a drive that was switched off and on); it is opened
    /// anew then, and only then is a failure one.
    async fn identify(&self) -> Performed {
        const NAME: &str = "identify the drive";
        let first = self
            .unit
            .lane
            .call(NAME, self.limit(), Drive::identify, |_, _| {})
            .await;
        match first {
            Ok(Heard { answer: Err(error), .. }) if error.is_path_lost() => {
                self.drive(NAME, Drive::identify, Event::Identity).await
            }
            first => heard(first, Event::Identity, FailureKind::Unchanged),
        }
    }

    /// Asks the drive, which may call a cleaning cartridge a volume that is becoming ready: then the library knows better.
    async fn readiness(&mut self) -> Performed {
        let asked = self.drive("ask whether the drive is ready", Drive::readiness, Event::Readiness);
        let mut performed = asked.await;
        if let Event::Readiness(Readiness::BecomingReady | Readiness::NotReady { .. }) = performed.event
            && self.seen_in_library().is_some_and(|volume| volume.cleaning)
        {
            performed.event = Event::Readiness(Readiness::CleaningCartridge);
        }
        if let Event::Readiness(Readiness::BecomingReady) = performed.event {
            self.ask_ahead();
        }
        performed
    }

    /// What a library has seen in the drive since the job began: what it said before may be out of date, and the cartridge another one now.
    fn seen_in_library(&self) -> Option<Volume> {
        let serial = self.unit.serial();
        let seen = self.daemon.bay_of(serial.as_deref())?;
        seen.bay.place.volume.filter(|_| seen.at >= self.begun)
    }

    async fn clear_key(&self) -> Performed {
        self.drive("clear the key", Drive::clear_key, |cleared| Event::Cleared {
            already: cleared.already(),
        })
        .await
    }

    async fn load_key(&self, parameters: KeyParameters) -> Performed {
        let event = |loaded| Event::Loaded(Receipt::from(&loaded));
        self.send_key("load the key", self.key.clone(), parameters, Drive::load_key, event)
            .await
    }

    async fn try_key(&self, candidate: usize, parameters: KeyParameters) -> Performed {
        let key = self.candidates.get(candidate).cloned();
        let event = |trial: Trial| Event::Tried {
            receipt: Receipt::from(&trial.loaded),
            fit: trial.fit,
        };
        self.send_key("try a key", key, parameters, Drive::try_key, event).await
    }

    async fn send_key<T: Send + 'static>(
        &self,
        name: &'static str,
        key: Option<Arc<DataKey>>,
        parameters: KeyParameters,
        send: fn(&mut Drive, &DataKey, &KeyParameters) -> Result<T, LoadKeyError>,
        event: impl FnOnce(T) -> Event,
    ) -> Performed {
        let Some(key) = key else {
            return Event::Failed(Failure::new(
                FailureKind::Unchanged,
                "a bug in tapekeyd: there is no key to load",
            ))
            .into();
        };
        let drive_name = self.unit.name.clone();
        let work = move |drive: &mut Drive| send(drive, &key, &parameters);
        // Nobody waits any more, the job has failed: its key must not stay.
        let may_lose_key = self.unit.may_lose_key();
        let unheard = move |drive: &mut Drive, answer: Result<T, LoadKeyError>| {
            let may_hold_it = answer.map_or_else(|error| error.may_have_loaded(), |_| true);
            if may_hold_it && !may_lose_key.load(Ordering::SeqCst) {
                tracing::error!(
                    drive = drive_name,
                    "ALARM: a key may have gone in after its job had been given up; it was left there, since a program has the drive open"
                );
            } else if may_hold_it {
                let cleared = drive.clear_key();
                tracing::warn!(
                    drive = drive_name,
                    ?cleared,
                    "a key may have gone in after its job had been given up; it was cleared again"
                );
            }
        };
        let answer = self.unit.lane.call(name, self.limit(), work, unheard).await;
        heard(answer, event, FailureKind::Uncertain)
    }
}

/// `unanswered`: what it means for the drive if the lane gave no answer.
fn heard<T, E>(
    outcome: Result<Heard<Result<T, E>>, LaneError>,
    event: impl FnOnce(T) -> Event,
    unanswered: FailureKind,
) -> Performed
where
    Failure: From<E>,
{
    match outcome {
        Ok(Heard {
            answer: Ok(value),
            attentions,
        }) => Performed {
            event: event(value),
            attentions,
        },
        Ok(Heard {
            answer: Err(error),
            attentions,
        }) => Performed {
            event: Event::Failed(error.into()),
            attentions,
        },
        Err(error) => Event::Failed(Failure {
            kind: unanswered,
            ..<Failure as From<LaneError>>::from(error)
        })
        .into(),
    }
}

fn no_key(error: &KeySourceError) -> Performed {
    Event::Failed(Failure::new(FailureKind::Unchanged, error)).into()
}

#[cfg(test)]
mod tests;
