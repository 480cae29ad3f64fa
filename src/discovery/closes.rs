//! Which drives' tape nodes programs have closed, by inotify: nothing is asked or opened for it.
//!
//! An open of ours is heard too, and its close can be told from others' only by whoever counts them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use super::device::{Device, ScsiAddress};

/// Reads in one go, so that a storm of opens keeps nobody from the rest of the watch.
const READS_MAX: usize = 256;

/// Hears closes of tape nodes.
pub struct Closes {
    inotify: Inotify,
    watched: BTreeMap<PathBuf, Watched>,
}

#[derive(Debug, Clone, Copy)]
struct Watched {
    descriptor: WatchDescriptor,
    drive: ScsiAddress,
    /// Whether it is the node that does not rewind.
    no_rewind: bool,
}

/// One close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// Of this drive. `like_ours`: of the node that does not rewind, opened for reading only.
    Of {
        /// The drive.
        drive: ScsiAddress,
        /// Whether an open of ours would look the same.
        like_ours: bool,
    },
    /// More happened than the kernel could remember: any may have been closed.
    Perhaps,
}

impl Closes {
    /// Begins to listen; to nothing yet.
    ///
    /// # Errors
    /// What the system answers, such as when the user has too many such listeners.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            inotify: Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?,
            watched: BTreeMap::new(),
        })
    }

    /// Listens to the tape nodes of `devices` and no others. Whether those are others than before, and which it may not listen to, and why.
    pub fn follow(&mut self, devices: &[Device]) -> (bool, Vec<(PathBuf, std::io::Error)>) {
        let mut refused = Vec::new();
        let mut wanted = BTreeMap::new();
        for device in devices {
            for node in &device.tape {
                let no_rewind = device.no_rewind() == Some(node);
                match self.listen_to(&node.path) {
                    Ok(descriptor) => {
                        let watched = Watched {
                            descriptor,
                            drive: device.address,
                            no_rewind,
                        };
                        wanted.insert(node.path.clone(), watched);
                    }
                    Err(errno) => refused.push((node.path.clone(), errno.into())),
                }
            }
        }
        let kept: Vec<WatchDescriptor> = wanted.values().map(|watched| watched.descriptor).collect();
        let changed = self.watched.len() != wanted.len()
            || self.watched.values().any(|watched| !kept.contains(&watched.descriptor));
        for gone in std::mem::replace(&mut self.watched, wanted).into_values() {
            if !kept.contains(&gone.descriptor) {
                // One whose node has gone has ended by itself.
                let _ = self.inotify.rm_watch(gone.descriptor);
            }
        }
        (changed, refused)
    }

    /// Opens are listened to as well, since the kernel makes two like events in a row one.
    fn listen_to(&self, node: &Path) -> Result<WatchDescriptor, Errno> {
        let events = AddWatchFlags::IN_CLOSE | AddWatchFlags::IN_OPEN;
        self.inotify.add_watch(node, events)
    }

    /// The closes since this was last asked, in their order. Does not wait.
    ///
    /// # Errors
    /// What the system answers if it does not listen any more.
    pub fn take(&self) -> std::io::Result<Vec<Close>> {
        let mut closes = Vec::new();
        for _ in 0..READS_MAX {
            match self.inotify.read_events() {
                Ok(events) => closes.extend(events.iter().filter_map(|event| self.close(event))),
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(closes)
    }

    fn close(&self, event: &InotifyEvent) -> Option<Close> {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            return Some(Close::Perhaps);
        }
        let read_only = event.mask.contains(AddWatchFlags::IN_CLOSE_NOWRITE);
        if !read_only && !event.mask.contains(AddWatchFlags::IN_CLOSE_WRITE) {
            return None;
        }
        let watched = self.watched.values().find(|watched| watched.descriptor == event.wd)?;
        Some(Close::Of {
            drive: watched.drive,
            like_ours: read_only && watched.no_rewind,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File, OpenOptions};

    /// A drive whose nodes are files in `folder`.
    fn device(folder: &Path, number: u32) -> Device {
        let unit = folder.join(format!("sys/0:0:{number}:0"));
        for (name, minor) in [(format!("nst{number}"), 128 + number), (format!("st{number}"), number)] {
            let class = unit.join("scsi_tape").join(&name);
            fs::create_dir_all(&class).unwrap();
            fs::write(class.join("dev"), format!("9:{minor}\n")).unwrap();
            fs::write(folder.join(name), "").unwrap();
        }
        fs::write(unit.join("type"), "1\n").unwrap();
        Device::read(&unit, folder).unwrap()
    }

    #[test]
    fn a_close_is_heard_with_its_drive_and_whether_it_could_be_ours() {
        let folder = tempfile::tempdir().unwrap();
        let devices = [device(folder.path(), 0), device(folder.path(), 1)];
        let mut closes = Closes::listen().unwrap();
        let (changed, refused) = closes.follow(&devices);
        assert!(changed && refused.is_empty());
        assert!(!closes.follow(&devices).0, "the same as before");
        let of = |device: &Device, like_ours| Close::Of {
            drive: device.address,
            like_ours,
        };
        drop(File::open(folder.path().join("nst1")).unwrap());
        assert_eq!(closes.take().unwrap(), [of(&devices[1], true)]);
        drop(OpenOptions::new().write(true).open(folder.path().join("nst0")).unwrap());
        drop(File::open(folder.path().join("st0")).unwrap());
        assert_eq!(closes.take().unwrap(), [of(&devices[0], false), of(&devices[0], false)]);
    }

    #[test]
    fn closes_of_one_node_in_a_row_are_each_heard() {
        let folder = tempfile::tempdir().unwrap();
        let devices = [device(folder.path(), 0)];
        let mut closes = Closes::listen().unwrap();
        closes.follow(&devices);
        for _ in 0..3 {
            drop(File::open(folder.path().join("nst0")).unwrap());
        }
        assert_eq!(closes.take().unwrap().len(), 3);
    }

    #[test]
    fn a_node_that_went_is_not_listened_to_any_more_and_one_that_is_not_there_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let devices = [device(folder.path(), 0), device(folder.path(), 1)];
        let mut closes = Closes::listen().unwrap();
        fs::remove_file(folder.path().join("st1")).unwrap();
        let (_, refused) = closes.follow(&devices);
        assert_eq!(refused[0].0, folder.path().join("st1"));
        closes.follow(&devices[1..]);
        drop(File::open(folder.path().join("nst0")).unwrap());
        drop(File::open(folder.path().join("nst1")).unwrap());
        let Close::Of { drive, .. } = closes.take().unwrap()[0] else {
            panic!("nothing overflowed")
        };
        assert_eq!(drive, devices[1].address);
    }
}
