//! One job from its first step to its durable end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::gate::{AtGate, Note, PlainMount};
use super::hold::Hold;
use super::lane::{InFlight, LaneError};
use super::mount::{Mount, Seen};
use super::perform::{Hands, Performed};
use super::{CommandError, Daemon, DriveUnit, Provided};
use crate::controller::job::{JobDrive, JobKind, JobMessage, JobRecord, JobVolume, Level, Outcome};
use crate::controller::operation::{Operation, Wish};
use crate::controller::pool::Pool;
use crate::controller::record;
use crate::controller::report::RunningJob;
use crate::controller::step::{Ask, Change, Event, Failure, FailureKind, Next, Receipt, Step};
use crate::drive::{Attention, Fit, Readiness};
use crate::secret::DataKey;

/// How long a walk over a tape may take.
const SCAN_MAX: Duration = Duration::from_secs(24 * 3600);

impl Daemon {
    pub(super) async fn run_job(
        self: Arc<Self>,
        unit: Arc<DriveUnit>,
        (kind, provided): (JobKind, Provided),
        (wish, given): (Wish, Option<DataKey>),
        requested_by: u32,
    ) -> Result<JobRecord, CommandError> {
        if let Some(call) = unit.lane.in_flight().filter(InFlight::is_overdue) {
            let error = LaneError::Hangs {
                name: call.name,
                seconds: call.elapsed.as_secs(),
            };
            return Err(CommandError::DriveHangs {
                drive: unit.name.clone(),
                error,
            });
        }
        let place = Place::take(&self, &unit, kind, provided)?;
        let id = place.id;
        // Whoever reads the drive's blocks through a program's child that lives on must not lose the key under it.
        let held = match provided {
            Provided::KeyOf(_) => self.keep_out(&unit, Hold::IfThereIsANode).await,
            Provided::Nothing | Provided::NoKeyIn => Ok(Vec::new()),
        }
        .map_err(|error| CommandError::NodeInUse {
            drive: unit.name.clone(),
            error,
        })?;
        // Where there is a gate, it holds the drive from here on, and would take our own hold for a program's.
        let _held = if unit.gate.is_some() { Vec::new() } else { held };
        let mut record = new_record(&self, &unit, id, kind, requested_by);
        record.drive.st_node = self.st_node(&unit).await;
        self.jobs.begin(record).await?;
        tracing::info!(job = id, drive = unit.name, %kind, uid = requested_by, "job begun");
        let began = self.clock.monotonic();
        let plain_pool = matches!(
            &wish,
            Wish::Load {
                pool: Some(Pool::Plain(_)),
                ..
            }
        );
        let mut run = Run {
            at_gate: AtGate::new(&self, &unit),
            plain_pool,
            hands: Hands::new(&self, &unit, id, (wish.clone(), given)),
            daemon: &self,
            unit: &unit,
            id,
            kind,
            seen: Seen::default(),
            receipt: None,
            key_sent: false,
            kms_alarms: Vec::new(),
            before: unit.state().mount.clone(),
            began,
        };
        let outcome = match self.enter_gate(&unit, kind).await {
            Ok(note) => {
                run.note(note);
                run.run_to_the_end(Operation::new(wish, unit.rules.clone())).await
            }
            Err(why) => {
                run.note(Some(why));
                Outcome::Refused
            }
        };
        run.finish(outcome).await
    }
}

/// Why a key is not taken out.
const KEPT: &str = "the key was left in the drive, since a program has it open: what that wrote without the key would be plain\n\
    hint: end that program, then run tapekey clear";

/// The KMS's audit log shows that key too, and whoever compares the two should not have to wonder.
const UNUSED_KEY: &str =
    "a key that was asked for while the volume was becoming ready was not the one that it needed: it was wiped";

/// The one place that a drive has for a job; given back when dropped.
pub(super) struct Place<'a> {
    daemon: &'a Daemon,
    unit: &'a DriveUnit,
    pub(super) id: u64,
}

impl<'a> Place<'a> {
    /// Takes it, unless the key in the drive is not as is `provided`.
    pub(super) fn take(
        daemon: &'a Daemon,
        unit: &'a DriveUnit,
        kind: JobKind,
        provided: Provided,
    ) -> Result<Self, CommandError> {
        let mut state = unit.state();
        if let Some(running) = &state.running {
            let (job, kind) = (running.id, running.kind);
            return Err(CommandError::Busy {
                drive: unit.name.clone(),
                job,
                kind,
            });
        }
        if let (Provided::KeyOf(expected), Some(mount)) = (provided, &state.mount)
            && mount.job != expected
        {
            return Err(CommandError::NotItsKey {
                drive: unit.name.clone(),
                found: mount.job,
                expected,
            });
        }
        let needs_no_key = provided == Provided::NoKeyIn || matches!(kind, JobKind::Scan | JobKind::Doctor);
        if let (true, Some(mount)) = (needs_no_key, &state.mount) {
            return Err(CommandError::MayBeInUse {
                drive: unit.name.clone(),
                job: mount.job,
            });
        }
        state.cancelled = None;
        let id = daemon.jobs.reserve();
        state.running = Some(RunningJob {
            id,
            kind,
            begun: daemon.clock.now(),
        });
        daemon.running.fetch_add(1, Ordering::SeqCst);
        Ok(Self { daemon, unit, id })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.unit.state().running = None;
        self.daemon.running.fetch_sub(1, Ordering::SeqCst);
        self.daemon.one_ended.notify_waiters();
    }
}

pub(super) fn new_record(daemon: &Daemon, unit: &DriveUnit, id: u64, kind: JobKind, requested_by: u32) -> JobRecord {
    JobRecord {
        id,
        kind,
        outcome: Outcome::Running,
        requested_by,
        begun: daemon.clock.now(),
        ended: None,
        drive: JobDrive {
            name: unit.name.clone(),
            path: unit.path.clone(),
            st_node: None,
            product: None,
            serial: None,
        },
        volume: JobVolume::default(),
        pool: None,
        key: None,
        kms: None,
        servers: Vec::new(),
        in_force: None,
        proof: None,
        not_proven: None,
        related_job: None,
        key_gone: None,
        wrong_keys: Vec::new(),
        scan: None,
        maintenance: None,
        messages: Vec::new(),
    }
}

struct Run<'a> {
    at_gate: AtGate,
    /// Whether a plain pool was wished for.
    plain_pool: bool,
    hands: Hands<'a>,
    daemon: &'a Daemon,
    unit: &'a DriveUnit,
    id: u64,
    kind: JobKind,
    seen: Seen,
    receipt: Option<Receipt>,
    /// Whether a key may have gone into the drive.
    key_sent: bool,
    /// Alarms about the KMS that the job's details have.
    kms_alarms: Vec<JobMessage>,
    /// What was in the drive before, by our own records.
    before: Option<Mount>,
    /// When it began, on the monotonic clock.
    began: Duration,
}

impl Run<'_> {
    async fn run_to_the_end(&mut self, mut operation: Operation) -> Outcome {
        let mut step = operation.start();
        loop {
            let Step { changes, next } = step;
            self.record(changes);
            let ask = match next {
                Next::End(outcome) => return outcome,
                Next::Ask(ask) => ask,
            };
            let event = self.perform(ask).await;
            match &event {
                Event::Loaded(receipt) => self.receipt = Some(receipt.clone()),
                Event::Tried {
                    receipt,
                    fit: Fit::Fits,
                } => self.receipt = Some(receipt.clone()),
                _ => {}
            }
            step = operation.handle(event);
        }
    }

    fn record(&self, changes: Vec<Change>) {
        let now = self.daemon.clock.now();
        for change in &changes {
            if let Change::Message { level, text, hint } = change {
                self.log(*level, text, hint.as_deref());
            }
            if let Change::WrongKeys(ids) = change {
                self.unit.state().wrong_keys.ids.clone_from(ids);
            }
            if let Change::GivenKey { by, .. } = change {
                let (uid, pid) = (by.uid, by.pid);
                tracing::warn!(
                    job = self.id,
                    drive = self.unit.name,
                    uid,
                    pid,
                    "a key was given by descriptor"
                );
            }
            if let Change::Candidate { facts, .. } = change {
                let (key, server) = (facts.key_id, &facts.server.name);
                tracing::info!(job = self.id, drive = self.unit.name, group = %facts.group, key_id = %key, server, "a key fits");
            }
            if let Change::Key { facts, .. } = change {
                let (key, server) = (facts.kad.key_id(), &facts.server.name);
                tracing::info!(job = self.id, drive = self.unit.name, group = %facts.group, key_id = %key, server, "key fetched");
            }
        }
        self.daemon.jobs.change(self.id, |job| {
            changes.into_iter().for_each(|change| record::apply(job, change, now))
        });
    }

    /// What the gate has to say.
    fn note(&self, note: Option<Note>) {
        let message = note.map(|Note { level, text, hint }| Change::Message {
            level,
            text,
            hint: hint.map(str::to_owned),
        });
        self.record(message.into_iter().collect());
    }

    fn log(&self, level: Level, text: &str, hint: Option<&str>) {
        let (job, drive) = (self.id, &self.unit.name);
        match level {
            Level::Note => tracing::info!(job, drive, hint, "{text}"),
            Level::Error => tracing::warn!(job, drive, hint, "{text}"),
            Level::Alarm => tracing::error!(job, drive, hint, "ALARM: {text}"),
        }
    }

    async fn perform(&mut self, ask: Ask) -> Event {
        if matches!(ask, Ask::LookHere | Ask::NextFile)
            && let Some(why) = self.ends_early()
        {
            return Event::Cancelled(why);
        }
        let sends_key = matches!(ask, Ask::LoadKey(_) | Ask::TryKey { .. });
        let changes_key = sends_key || ask == Ask::ClearKey;
        if ask == Ask::ClearKey && !self.unit.may_lose_key().load(Ordering::SeqCst) {
            return Event::Failed(Failure::new(FailureKind::Unchanged, KEPT));
        }
        if changes_key {
            self.conclude_before().await;
            // Which key went where must survive us from the moment it may be in the drive.
            if let Err(error) = self.daemon.jobs.save(self.id).await
                && sends_key
            {
                return Event::Failed(Failure::new(FailureKind::Unchanged, error));
            }
        }
        self.key_sent |= sends_key;
        let asks_kms = matches!(ask, Ask::NewKey { .. } | Ask::KeysOf { .. });
        let Performed { event, attentions } = self.hands.perform(ask).await;
        if asks_kms {
            self.note_kms_alarms();
        }
        self.note_wrong_keys(&event, &attentions);
        for attention in &attentions {
            tracing::info!(job = self.id, drive = self.unit.name, "unit attention: {attention}");
        }
        if !changes_key {
            self.seen.attentions.extend(attentions);
            self.see(&event);
        }
        event
    }

    /// Why a walk over the tape ends where it is.
    fn ends_early(&self) -> Option<String> {
        if let Some(by) = self.unit.state().cancelled {
            return Some(format!("cancelled by user {by}"));
        }
        let took = self.daemon.clock.monotonic().saturating_sub(self.began);
        (took > SCAN_MAX).then(|| format!("it took more than {} hours", SCAN_MAX.as_secs() / 3600))
    }

    /// A store that was rolled back may lack the key, or have a revoked one: whoever reads of this job has to know.
    fn note_kms_alarms(&mut self) {
        let mut alarms = self.daemon.kms_alarms();
        alarms.retain(|alarm| !self.kms_alarms.contains(alarm));
        self.daemon
            .jobs
            .change(self.id, |job| job.messages.extend(alarms.iter().cloned()));
        self.kms_alarms.extend(alarms);
    }

    /// Which keys were wrong holds for as long as the volume stays.
    fn note_wrong_keys(&self, event: &Event, attentions: &[Attention]) {
        let mut seen = Seen {
            attentions: attentions.to_vec(),
            ..Seen::default()
        };
        match event {
            Event::Volume(volume) => seen.medium = Some(Some(volume.clone())),
            Event::Readiness(Readiness::NoMedium | Readiness::CleaningCartridge) => seen.medium = Some(None),
            _ => {}
        }
        let wrong_keys = {
            let mut state = self.unit.state();
            state.wrong_keys.keep_while_mounted(&seen);
            if let Event::Volume(volume) = event {
                state.wrong_keys.medium_serial.clone_from(&volume.medium_serial);
            }
            state.wrong_keys.ids.clone()
        };
        if matches!(event, Event::Volume(_)) {
            let now = self.daemon.clock.now();
            self.daemon
                .jobs
                .change(self.id, |job| record::apply(job, Change::WrongKeys(wrong_keys), now));
        }
    }

    fn see(&mut self, event: &Event) {
        match event {
            Event::Volume(volume) => self.seen.medium = Some(Some(volume.clone())),
            Event::Readiness(Readiness::NoMedium | Readiness::CleaningCartridge) => self.seen.medium = Some(None),
            Event::InForce(in_force) => self.seen.in_force = Some(in_force.clone()),
            _ => {}
        }
    }

    /// Before the key changes: was the former one undisturbed until now?
    async fn conclude_before(&mut self) {
        if let Some(mount) = &self.before
            && let Some(why) = self.daemon.conclude(self.unit, &std::mem::take(&mut self.seen)).await
            && self.kind == JobKind::Clear
        {
            let related = mount.job;
            self.daemon.jobs.change(self.id, |job| {
                job.not_proven = Some(why);
                job.related_job = Some(related);
            });
        }
    }

    async fn finish(mut self, outcome: Outcome) -> Result<JobRecord, CommandError> {
        if self.receipt.is_none() && outcome != Outcome::Cleared {
            self.daemon.conclude(self.unit, &self.seen).await;
        }
        self.note_mount(outcome).await;
        let now = self.daemon.clock.now();
        let unused = self.hands.forget_ahead();
        self.daemon.jobs.change(self.id, |job| {
            if unused {
                record::message(job, now, Level::Note, UNUSED_KEY.to_owned(), None);
            }
            job.outcome = outcome;
            job.ended = Some(now);
        });
        self.daemon.jobs.save(self.id).await?;
        // Once it is on disk what is in the drive, and not before: a later run must know for what the drive was let go.
        let wanted = (self.kind, self.plain_pool);
        let left = self
            .daemon
            .leave_gate(self.unit, wanted, outcome, self.receipt.as_ref());
        let left = left.await;
        self.at_gate.told = true;
        if left.is_some() {
            self.note(left);
            self.daemon.jobs.save(self.id).await?;
        }
        tracing::info!(job = self.id, drive = self.unit.name, %outcome, "job ended");
        let job = self.daemon.jobs.show(self.id).ok_or(CommandError::Bug)?;
        // Those about the KMS are not the drive's, and the status shows them by themselves.
        let of_drive = |message: &&JobMessage| message.level == Level::Alarm && !self.kms_alarms.contains(message);
        let alarms = job.messages.iter().filter(of_drive);
        alarms.for_each(|alarm| self.unit.state().alarm(alarm.clone()));
        Ok(job)
    }

    async fn note_mount(&self, outcome: Outcome) {
        let Some(job) = self.daemon.jobs.show(self.id) else {
            return;
        };
        match outcome {
            Outcome::KeyLoaded => {
                let former = {
                    let mut state = self.unit.state();
                    let former = state.begin_anew();
                    state.mount = self.receipt.as_ref().map(|receipt| mount_of(self.id, receipt, &job));
                    former
                };
                self.daemon.key_is_gone(former).await;
            }
            Outcome::Cleared => {
                let mount = self.unit.state().begin_anew();
                self.close_mount(mount.or(self.before.clone()), job).await;
            }
            // Whatever key was in the drive before, it was cleared, or cannot be relied upon any more.
            Outcome::Plain => {
                let former = {
                    let mut state = self.unit.state();
                    let former = state.begin_anew();
                    state.plain = Some(PlainMount {
                        job: self.id,
                        medium_serial: job.volume.serial.clone(),
                    });
                    former
                };
                self.daemon.key_is_gone(former).await;
            }
            Outcome::Failed if self.key_sent => {
                let former = self.unit.state().mount.take();
                self.daemon.key_is_gone(former).await;
            }
            _ => {}
        }
    }

    /// The job that loaded the key gets the proof, and the one that cleared it gets to say whose key it was.
    async fn close_mount(&self, mount: Option<Mount>, clear: JobRecord) {
        let Some(mount) = mount else { return };
        let Some(load) = self.daemon.jobs.show(mount.job) else {
            return;
        };
        let same_volume = clear.volume.serial.is_none() || clear.volume.serial == load.volume.serial;
        let (id, proof) = (self.id, clear.proof.filter(|_| same_volume));
        self.daemon.jobs.change(self.id, |job| {
            job.related_job = Some(mount.job);
            job.pool.clone_from(&load.pool);
            job.key.clone_from(&load.key);
            job.not_proven = job.not_proven.take().or(load.not_proven);
        });
        let now = self.daemon.clock.now();
        self.daemon.jobs.change(mount.job, |job| {
            job.related_job = Some(id);
            job.key_gone = job.key_gone.or(Some(now));
            job.proof = proof.or(job.proof.take());
        });
        self.daemon
            .annotate(
                mount.job,
                Level::Note,
                &format!("the key was cleared by job {id}"),
                None,
                None,
            )
            .await;
    }
}

fn mount_of(id: u64, receipt: &Receipt, job: &JobRecord) -> Mount {
    Mount {
        job: id,
        kads: receipt.in_force().kads(),
        key_instance_counter: receipt.in_force().key_instance_counter,
        medium_serial: job.volume.serial.clone(),
    }
}
