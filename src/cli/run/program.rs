//! The program of `tapekey run`: started with our own descriptors, told of the signals that we get, waited for. It never sees a key.
//!
//! Signals do not end us while a key may be in the drive: they are read as data (signalfd(2)) and passed on. A signal that the terminal sent
//! has reached the program already, since it is in our process group, and is not sent twice.

use std::ffi::{CString, OsString};
use std::io::{self, IsTerminal};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;
use nix::libc::SI_KERNEL;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use serde::Serialize;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What is passed on.
const PASSED_ON: [Signal; 10] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGXCPU,
];

/// The signals that would end us, as data.
pub(super) struct Signals {
    caught: AsyncFd<SignalFd>,
    /// The mask that we were started with, which is the program's.
    before: SigSet,
}

/// A signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caught {
    /// Which one.
    pub(super) signal: Signal,
    /// Whether the terminal sent it, to everything that runs in its foreground.
    by_terminal: bool,
}

impl Signals {
    /// From here on they are caught. One that we were told to ignore, as by nohup(1), stays ignored, by the program too.
    pub(super) fn catch() -> io::Result<Self> {
        let before = SigSet::thread_get_mask()?;
        let ignored = ignored(&std::fs::read_to_string("/proc/self/status")?);
        let mut mask = SigSet::empty();
        for signal in PASSED_ON.into_iter().filter(|signal| !is_in(ignored, *signal)) {
            mask.add(signal);
        }
        mask.thread_block()?;
        let caught = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types that do not own their descriptor; this one does"
        )]
        let caught = AsyncFd::with_interest(caught, Interest::READABLE)?;
        Ok(Self { caught, before })
    }

    /// The next one; for ever if there is none.
    pub(super) async fn next(&self) -> Caught {
        match self.read().await {
            Ok(caught) => caught,
            // They stay blocked, so that the key comes out when the program has ended.
            Err(_) => std::future::pending().await,
        }
    }

    async fn read(&self) -> io::Result<Caught> {
        loop {
            let mut ready = self.caught.readable().await?;
            let read = ready.try_io(|caught| match caught.get_ref().read_signal() {
                Ok(Some(came)) => Ok(came),
                Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
                Err(error) => Err(error.into()),
            });
            let Ok(came) = read else { continue };
            let came = came?;
            let number = i32::try_from(came.ssi_signo).map_err(io::Error::other)?;
            return Ok(Caught {
                signal: Signal::try_from(number)?,
                by_terminal: came.ssi_code == SI_KERNEL,
            });
        }
    }
}

/// The mask of ignored signals in /proc/PID/status (proc(5), SigIgn).
fn ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

fn is_in(mask: u64, signal: Signal) -> bool {
    let bit = u32::try_from(signal as i32)
        .ok()
        .and_then(|number| number.checked_sub(1));
    bit.and_then(|bit| mask.checked_shr(bit))
        .is_some_and(|mask| mask & 1 == 1)
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    /// By itself, with this code.
    Code(u8),
    /// By this signal.
    Signal(i32),
    /// Somebody else took its exit status: our parent had us ignore SIGCHLD.
    Unknown,
}

impl End {
    /// What a shell would say.
    pub(super) fn exit_code(self, unknown: u8) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => of_signal(signal),
            Self::Unknown => unknown,
        }
    }
}

/// 128 and the signal's number, as shells have it.
pub(super) fn of_signal(signal: i32) -> u8 {
    u8::try_from(signal).map_or(u8::MAX, |number| number.saturating_add(128))
}

impl std::fmt::Display for End {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "ended with code {code}"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(formatter, "was ended by {signal}"),
                Err(_) => write!(formatter, "was ended by signal {number}"),
            },
            Self::Unknown => formatter.write_str("ended, and how is not known"),
        }
    }
}

/// A program under way.
pub(super) struct Program {
    pid: Pid,
    /// Away from a terminal it leads a group of its own, so that its children are told too; on one they share ours.
    leads_group: bool,
}

impl Program {
    /// Starts `command` with our environment, changed by `environment` (`None` takes a variable out).
    ///
    /// # Errors
    /// What the system answered; ENOENT if there is no such program.
    pub(super) fn start(
        command: &[OsString],
        environment: &[(&str, Option<String>)],
        signals: &Signals,
    ) -> Result<Self, Errno> {
        let arguments = command.iter().map(|argument| c_string(argument.as_bytes().to_vec()));
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let file = arguments.first().ok_or(Errno::ENOENT)?;
        let mut attributes = PosixSpawnAttr::init()?;
        let leads_group = !io::stdin().is_terminal();
        let mut flags = PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
        if leads_group {
            flags |= PosixSpawnFlags::POSIX_SPAWN_SETPGROUP;
            attributes.set_pgroup(Pid::from_raw(0))?;
        }
        attributes.set_flags(flags)?;
        attributes.set_sigmask(&signals.before)?;
        // Which our own runtime ignores; most programs that write to a pipe rely on it.
        attributes.set_sigdefault(&Signal::SIGPIPE.into())?;
        let actions = PosixSpawnFileActions::init()?;
        let environment = environment_with(environment)?;
        let pid = posix_spawnp(file, &actions, &attributes, &arguments, &environment)?;
        Ok(Self { pid, leads_group })
    }

    /// Waits for its end and passes on what comes meanwhile. A program that ignores a signal is waited for all the same.
    pub(super) async fn end(self, signals: &Signals) -> End {
        let pid = self.pid;
        // Without taking its status, so that its number is not another program's before the last signal was passed on.
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        let mut ended = tokio::task::spawn_blocking(move || waitid(Id::Pid(pid), flags));
        loop {
            tokio::select! {
                _ = &mut ended => break,
                caught = signals.next() => {
                    // It may have ended just now.
                    let _ = match (self.leads_group, caught.by_terminal) {
                        (true, _) => killpg(pid, caught.signal),
                        (false, false) => kill(pid, caught.signal),
                        (false, true) => Ok(()),
                    };
                }
            }
        }
        match waitpid(pid, None) {
            Ok(WaitStatus::Exited(_, code)) => u8::try_from(code).map_or(End::Unknown, End::Code),
            Ok(WaitStatus::Signaled(_, signal, _)) => End::Signal(signal as i32),
            _ => End::Unknown,
        }
    }
}

fn environment_with(changes: &[(&str, Option<String>)]) -> Result<Vec<CString>, Errno> {
    let is_changed = |name: &OsString| changes.iter().any(|(changed, _)| name.as_os_str() == *changed);
    let kept = std::env::vars_os().filter(|(name, _)| !is_changed(name));
    let kept = kept.map(|(name, value)| [name.into_vec(), value.into_vec()].join(&b'='));
    let added = changes.iter().filter_map(|(name, value)| {
        let value = value.as_ref()?;
        Some(format!("{name}={value}").into_bytes())
    });
    kept.chain(added).map(c_string).collect()
}

fn c_string(bytes: Vec<u8>) -> Result<CString, Errno> {
    CString::new(bytes).map_err(|_| Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_that_were_ignored_from_the_start_are_told_apart() {
        let mask = ignored("Name:\ttapekey\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0\n");
        let found: Vec<_> = PASSED_ON.into_iter().filter(|signal| is_in(mask, *signal)).collect();
        assert_eq!(found, [Signal::SIGHUP], "SIGPIPE is none of those that are passed on");
        assert_eq!(ignored("Name:\ttapekey\n"), 0);
    }

    #[test]
    fn an_end_has_the_code_that_a_shell_gives_it() {
        let codes = [End::Code(7), End::Signal(9), End::Unknown].map(|end| end.exit_code(125));
        assert_eq!(codes, [7, 137, 125]);
        assert_eq!(End::Signal(9).to_string(), "was ended by SIGKILL");
    }

    #[test]
    fn the_environment_is_ours_with_the_changes() {
        let ours = environment_with(&[("PATH", Some("/nowhere".into())), ("HOME", None)]).unwrap();
        let text: Vec<_> = ours.iter().map(|line| line.to_str().unwrap()).collect();
        assert_eq!(text.iter().filter(|line| line.starts_with("PATH=")).count(), 1);
        assert!(text.contains(&"PATH=/nowhere"));
        assert!(!text.iter().any(|line| line.starts_with("HOME=")));
    }
}
