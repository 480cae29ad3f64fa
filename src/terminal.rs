//! Secrets from people: typed on the terminal without being shown, or read from a file descriptor. Every buffer is wiped. Nothing here takes
//! one from an argument or the environment, or prints anywhere but on the terminal.

pub mod passphrase;

use std::fs::File;
use std::io::{self, Read, Write};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// What Ctrl-C sends while the terminal does not turn it into a signal.
const INTERRUPT: u8 = 0x03;

/// The terminal of this program, whatever its standard streams are.
pub struct Terminal(File);

impl Terminal {
    /// Opens it.
    ///
    /// # Errors
    /// There is none.
    pub fn open() -> io::Result<Self> {
        File::options().read(true).write(true).open("/dev/tty").map(Self)
    }

    /// Shows `text`.
    ///
    /// # Errors
    /// It is gone.
    pub fn say(&self, text: &str) -> io::Result<()> {
        let mut terminal = &self.0;
        terminal.write_all(text.as_bytes())?;
        terminal.flush()
    }

    /// Asks for one line of at most `length_max` bytes that is not shown. Waits for as long as the person does.
    ///
    /// # Errors
    /// It is gone, the line is longer, or the person gave up (Ctrl-C).
    pub fn ask_secret(&self, prompt: &str, length_max: usize) -> io::Result<Zeroizing<Vec<u8>>> {
        let quiet = Quiet::begin(&self.0)?;
        self.say(prompt)?;
        let line = read_line(&self.0, length_max);
        drop(quiet);
        self.say("\n")?;
        line
    }
}

/// While it lives, the terminal shows nothing of what is typed, and a Ctrl-C cannot end the program and leave it so.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn begin(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut during = before.clone();
        during.local_flags.remove(LocalFlags::ECHO | LocalFlags::ISIG);
        tcsetattr(terminal, SetArg::TCSAFLUSH, &during)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // A terminal that does not take its own settings back is gone.
        let _ = tcsetattr(self.terminal, SetArg::TCSANOW, &self.before);
    }
}

fn read_line(mut from: impl Read, length_max: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(length_max));
    let mut byte = Zeroizing::new([0; 1]);
    while from.read(byte.as_mut_slice())? == 1 {
        let [typed] = *byte;
        match typed {
            b'\n' => return Ok(line),
            INTERRUPT => return Err(io::Error::new(io::ErrorKind::Interrupted, "given up")),
            _ if line.len() == length_max => return Err(io::Error::other("the line is too long")),
            other => line.push(other),
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the terminal is closed"))
}

/// Reads everything that comes from a file descriptor that this program was started with; more than `length_max` bytes is an error.
///
/// # Errors
/// There is no such descriptor, it cannot be read, or it gives more; with a remedy.
pub fn read_descriptor(descriptor: u32, length_max: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(format!("/dev/fd/{descriptor}")).map_err(|error| {
        let text = format!("read file descriptor {descriptor}: {error}\nhint: open it for this program, as in 3< FILE");
        io::Error::new(error.kind(), text)
    })?;
    read_secret(file, length_max)
}

/// Reads a whole secret of at most `length_max` bytes.
///
/// # Errors
/// It cannot be read, or is longer.
pub fn read_secret(from: File, length_max: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // Reserved whole, so that growing leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length_max + 1));
    let limit = u64::try_from(length_max).unwrap_or(u64::MAX).saturating_add(1);
    let mut from = from.take(limit);
    let mut chunk = Zeroizing::new([0; 512]);
    loop {
        let length = from.read(chunk.as_mut_slice())?;
        let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else {
            break;
        };
        bytes.extend_from_slice(read);
    }
    if bytes.len() > length_max {
        let text = format!("more than {length_max} bytes\nhint: is this the right file?");
        return Err(io::Error::other(text));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_at_its_newline_and_never_at_the_end_of_the_terminal() {
        assert_eq!(**read_line(b"a b\nc".as_slice(), 8).unwrap(), *b"a b");
        for bad in [b"a b".as_slice(), b"", b"a\x03b\n", b"123456789\n"] {
            assert!(read_line(bad, 8).is_err(), "{bad:?}");
        }
    }
}
