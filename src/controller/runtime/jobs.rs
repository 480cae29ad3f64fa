//! The job records: in memory for answers, on disk so that they survive.
//!
//! One file for each job, written beside its place, synced, and renamed into it: a reader sees the old record or the new one, never half of
//! one. What cannot be read is kept as it is and said, never deleted.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{Flock, FlockArg};
use thiserror::Error;

use crate::clock::Timestamp;
use crate::controller::job::{JobRecord, Level, Outcome};
use crate::controller::record;
use crate::kad::OurKad;

/// Largest record that is read, in bytes.
const RECORD_LENGTH_MAX: u64 = 1 << 20;

/// The state directory failed.
#[derive(Debug, Error)]
pub enum JobsError {
    /// Another daemon uses it.
    #[error("state directory {}: another tapekeyd uses it\nhint: one tapekeyd per host; stop the other one", directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// The system refused.
    #[error("{attempt} {}: {source}\nhint: is the disk full or read-only, and does the directory belong to the daemon's user?", path.display())]
    System {
        /// What was tried.
        attempt: &'static str,
        /// File or directory.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

/// All job records of one state directory, which is locked as long as this lives.
pub struct JobBook {
    directory: PathBuf,
    records: Mutex<BTreeMap<u64, JobRecord>>,
    next: Mutex<u64>,
    writing: tokio::sync::Mutex<()>,
    _lock: Flock<File>,
}

impl JobBook {
    /// Locks `state_directory` and reads its jobs. Those found running are marked as interrupted at `now`. Blocks.
    ///
    /// # Errors
    /// [`JobsError`] if another daemon holds the lock or the disk fails; unreadable records are no error, they are logged.
    pub fn open(state_directory: &Path, now: Timestamp) -> Result<Self, JobsError> {
        make_directory(state_directory)?;
        let lock = lock(state_directory)?;
        let directory = state_directory.join("jobs");
        make_directory(&directory)?;
        let (records, newest) = read_all(&directory)?;
        let book = Self {
            directory,
            records: Mutex::new(records),
            next: Mutex::new(newest.saturating_add(1)),
            writing: tokio::sync::Mutex::new(()),
            _lock: lock,
        };
        book.interrupt_running(now)?;
        Ok(book)
    }

    fn interrupt_running(&self, now: Timestamp) -> Result<(), JobsError> {
        let interrupted: Vec<JobRecord> = {
            let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
            let running = records.values_mut().filter(|job| job.outcome == Outcome::Running);
            running
                .map(|job| {
                    job.outcome = Outcome::Interrupted;
                    job.ended = Some(now);
                    record::message(job, now, Level::Error, "interrupted: daemon stopped".into(), None);
                    job.clone()
                })
                .collect()
        };
        interrupted.iter().try_for_each(|job| write(&self.directory, job))
    }

    /// The number of the next job. Numbers are never used twice, but may be left out.
    #[must_use]
    pub fn reserve(&self) -> u64 {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let id = *next;
        *next = next.saturating_add(1);
        id
    }

    /// Adds a job with a reserved number and returns once it is durable.
    ///
    /// # Errors
    /// [`JobsError`]; the job then does not exist.
    pub async fn begin(&self, job: JobRecord) -> Result<(), JobsError> {
        let id = job.id;
        self.all().insert(id, job);
        let saved = self.save(id).await;
        if saved.is_err() {
            self.all().remove(&id);
        }
        saved
    }

    /// Changes a job in memory; [`JobBook::save`] makes it durable.
    pub fn change(&self, id: u64, change: impl FnOnce(&mut JobRecord)) {
        if let Some(job) = self.all().get_mut(&id) {
            change(job);
        }
    }

    /// Makes the job durable as it is now.
    ///
    /// # Errors
    /// [`JobsError`]; on disk the job is then as it was saved last.
    pub async fn save(&self, id: u64) -> Result<(), JobsError> {
        // One at a time, and the record is taken inside: an older state never replaces a newer one.
        let _writing = self.writing.lock().await;
        let Some(job) = self.show(id) else { return Ok(()) };
        let directory = self.directory.clone();
        let written = tokio::task::spawn_blocking(move || write(&directory, &job)).await;
        written.unwrap_or_else(|error| Err(failed("write a job to", &self.directory)(io::Error::other(error))))
    }

    /// One job.
    #[must_use]
    pub fn show(&self, id: u64) -> Option<JobRecord> {
        self.all().get(&id).cloned()
    }

    /// The newest jobs, newest first, at most `limit`, of `drive` if given.
    #[must_use]
    pub fn list(&self, drive: Option<&str>, limit: usize) -> Vec<JobRecord> {
        let of_drive = |job: &&JobRecord| drive.is_none_or(|drive| job.drive.name == drive);
        self.all()
            .values()
            .rev()
            .filter(of_drive)
            .take(limit)
            .cloned()
            .collect()
    }

    /// The KAD of the key that was last meant for the volume with this medium serial number.
    #[must_use]
    pub fn kad_of(&self, medium_serial: &str) -> Option<OurKad> {
        let all = self.all();
        let mut of_volume = all
            .values()
            .rev()
            .filter(|job| job.volume.serial.as_deref() == Some(medium_serial));
        of_volume.find_map(|job| OurKad::decode(&hex::decode(&job.key.as_ref()?.kad).ok()?))
    }

    /// The KAD of the key that was last meant for the volume with this barcode.
    #[must_use]
    pub fn kad_of_barcode(&self, barcode: &str) -> Option<OurKad> {
        let all = self.all();
        let mut with_barcode = all
            .values()
            .rev()
            .filter(|job| job.volume.barcode.as_deref() == Some(barcode));
        with_barcode.find_map(|job| OurKad::decode(&hex::decode(&job.key.as_ref()?.kad).ok()?))
    }

    /// The medium serial number of the volume that a key with `kad` was last meant for.
    #[must_use]
    pub fn volume_of(&self, kad: OurKad) -> Option<String> {
        let kad = kad.to_string();
        let all = self.all();
        let mut with_key = all
            .values()
            .rev()
            .filter(|job| job.key.as_ref().is_some_and(|key| key.kad == kad));
        with_key.find_map(|job| job.volume.serial.clone())
    }

    fn all(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, JobRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JobsError {
    move |source| JobsError::System {
        attempt,
        path: path.into(),
        source,
    }
}

fn make_directory(directory: &Path) -> Result<(), JobsError> {
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed("create", directory)(error)),
        _ => Ok(()),
    }
}

fn lock(directory: &Path) -> Result<Flock<File>, JobsError> {
    let path = directory.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path);
    let file = file.map_err(failed("open", &path))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(JobsError::InUse {
            directory: directory.into(),
        }),
        Err((_, error)) => Err(failed("lock", &path)(error.into())),
    }
}

fn read_all(directory: &Path) -> Result<(BTreeMap<u64, JobRecord>, u64), JobsError> {
    let mut records = BTreeMap::new();
    let mut newest = 0;
    for entry in fs::read_dir(directory).map_err(failed("read", directory))? {
        let path = entry.map_err(failed("read", directory))?.path();
        let Some(id) = job_number(&path) else {
            tracing::warn!(file = %path.display(), "a file that is no job was left alone; a write may have been cut off");
            continue;
        };
        newest = newest.max(id);
        match read(&path, id) {
            Ok(job) => drop(records.insert(id, job)),
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "a job record cannot be read; the file was kept")
            }
        }
    }
    Ok((records, newest))
}

/// The number in a name that [`write`] could have given. The largest number is nobody's, since none could follow it.
fn job_number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let id = name.strip_suffix(".json")?.parse().ok()?;
    (id != u64::MAX && name == file_name(id, "json")).then_some(id)
}

fn file_name(id: u64, suffix: &str) -> String {
    format!("{id:010}.{suffix}")
}

fn read(path: &Path, id: u64) -> io::Result<JobRecord> {
    use io::Read;
    // Asked first: opening a FIFO would wait for a writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = Vec::new();
    File::open(path)?.take(RECORD_LENGTH_MAX).read_to_end(&mut text)?;
    let job: JobRecord = serde_json::from_slice(&text).map_err(io::Error::other)?;
    if job.id == id {
        Ok(job)
    } else {
        Err(io::Error::other(format!("it says that it is job {}", job.id)))
    }
}

fn write(directory: &Path, job: &JobRecord) -> Result<(), JobsError> {
    let place = directory.join(file_name(job.id, "json"));
    let beside = directory.join(file_name(job.id, "new"));
    let written = || -> io::Result<()> {
        let mut file = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(job).map_err(io::Error::other)?)?;
        file.sync_all()?;
        fs::rename(&beside, &place)?;
        let folder = File::open(directory)?;
        nix::unistd::fsync(&folder).map_err(io::Error::from)?;
        Ok(())
    };
    written().map_err(failed("write", &place))
}

#[cfg(test)]
mod tests;
