//! The programs as they really run: processes, sockets, TLS. Every wait has a limit, every process is ended by whoever started it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

/// Longer than anything here should take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until the answer is yes, at most [`PATIENCE`]: for what only the outside of a program shows.
#[track_caller]
pub fn until(mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it did not come to that");
    }
}

/// Where the program `sg-sim` is; built first if it is older than its sources.
pub fn sg_sim() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let programs = Path::new(env!("CARGO_BIN_EXE_tapekeyd")).parent().unwrap();
        let program = programs.join("sg-sim");
        let built = program.metadata().and_then(|metadata| metadata.modified()).ok();
        if built.is_none_or(|built| built < newest(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sg-sim/src"))) {
            build_sg_sim(programs);
        }
        program
    })
}

fn newest(folder: &Path) -> SystemTime {
    let times = std::fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            newest(&entry.path())
        } else {
            entry.metadata().unwrap().modified().unwrap()
        }
    });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn build_sg_sim(programs: &Path) {
    let mut build = Command::new(env!("CARGO"));
    build.args([
        "build",
        "--quiet",
        "--locked",
        "--workspace",
        "--bin",
        "sg-sim",
        "--target-dir",
    ]);
    build
        .arg(programs.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if programs.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "sg-sim cannot be built");
}

/// A program under way; killed when dropped.
pub struct Running {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
    lines: Receiver<String>,
}

impl Running {
    /// Starts `command`; what it prints is kept.
    pub fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = Arc::new(Mutex::new(Vec::new()));
        let (to, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in streams {
            let (said, to) = (said.clone(), to.clone());
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                let mut line = Vec::new();
                while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                    said.lock().unwrap().extend_from_slice(&line);
                    // Nobody may be waiting for lines any more; they are kept above.
                    let _ = to.send(String::from_utf8_lossy(&line).trim_end().to_owned());
                    line.clear();
                }
            });
        }
        Self { child, said, lines }
    }

    /// Waits for a line that holds `words`, and returns it.
    #[track_caller]
    pub fn wait_for(&self, words: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(words) => return line,
                Ok(_) => {}
                Err(_) => panic!(
                    "it never said {words:?}, but:\n{}",
                    String::from_utf8_lossy(&self.said())
                ),
            }
        }
    }

    /// Everything it printed so far.
    pub fn said(&self) -> Vec<u8> {
        self.said.lock().unwrap().clone()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and waits for its end.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; returns whether it ended with success.
    pub fn terminate(&mut self) -> bool {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().success()
    }

    /// Sends `signal`.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Whether it runs still.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its own end, and until all that it printed has been kept; returns its exit code.
    pub fn exit_code(&mut self) -> Option<i32> {
        until(|| !self.is_running());
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        self.child.wait().unwrap().code()
    }

    /// Waits for its own end; returns whether that was success.
    pub fn end(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command that ended said.
#[derive(Debug)]
pub struct Ended {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ended {
    /// Runs `command` to its end.
    pub fn of(command: &mut Command) -> Self {
        let output = command
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Its output, if it did what was asked.
    #[track_caller]
    pub fn well(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self.out
    }
}
