//! The only owner of plaintext key bytes: every key that can encrypt a block or open a sealed record lives in a type of this file.
//!
//! No type here has `Debug`, `Display`, `Clone` or `Serialize`, so no type that holds one can derive them; bytes are wiped on drop and
//! compared in constant time. Nothing here reads a file or a clock; a key that somebody brings comes through a pipe whose descriptor is handed
//! over (SCM_RIGHTS, unix(7)) and is read here.
#![expect(
    unsafe_code,
    reason = "the kernel hands descriptors over as numbers, and here they get an owner"
)]

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use subtle::ConstantTimeEq;
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use zeroize::{Zeroize, Zeroizing};

use crate::entropy::{Entropy, EntropyError, random_bytes};

/// Bytes of an AES-256 key.
pub const KEY_LENGTH: usize = 32;

/// Bytes of an AES-GCM nonce.
const NONCE_LENGTH: usize = 12;

/// A plaintext AES-256 key that encrypts blocks on tape, or from which such keys are derived.
pub struct DataKey(Box<[u8; KEY_LENGTH]>);

impl DataKey {
    /// Takes the key out of `bytes`, which are wiped.
    pub fn take(bytes: &mut [u8; KEY_LENGTH]) -> Self {
        let mut key = Box::new([0; KEY_LENGTH]);
        key.copy_from_slice(bytes);
        bytes.zeroize();
        Self(key)
    }

    /// Draws a new key.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut key = Box::new([0; KEY_LENGTH]);
        entropy.fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// Takes the key out of a slice of any length, which is wiped either way.
    ///
    /// # Errors
    /// [`WrongKeyLength`] unless the slice has exactly 32 bytes.
    pub fn take_slice(bytes: &mut [u8]) -> Result<Self, WrongKeyLength> {
        let taken = match <&mut [u8; KEY_LENGTH]>::try_from(&mut *bytes) {
            Ok(key) => Ok(Self::take(key)),
            Err(_) => Err(WrongKeyLength { found: bytes.len() }),
        };
        bytes.zeroize();
        taken
    }

    /// The same key once more, for a key that leaves while the first stays: both are wiped, each in its own time.
    #[must_use]
    pub fn copy_to_release(&self) -> Self {
        Self(self.0.clone())
    }

    /// The key's bytes, for the one call that needs them. Never copy them anywhere that is not wiped.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_LENGTH] {
        &self.0
    }
}

impl PartialEq for DataKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for DataKey {}

impl Drop for DataKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Keeps what this process holds to itself: no core dump, and no debugger of the same user. Every program that holds keys calls it first.
///
/// # Errors
/// What the kernel answers; the program must not go on then.
pub fn keep_in_this_process() -> nix::Result<()> {
    use nix::sys::resource::{Resource, setrlimit};
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    nix::sys::prctl::set_dumpable(false)
}

/// Pages of this process may reach a swap device, and keys with them.
#[derive(Debug, Error)]
pub enum SwapError {
    /// The process may lock no more than this, and a limit reached later would make it fail in the middle of its work.
    #[error(
        "lock the memory of this process: its limit is {bytes} bytes, so keys may reach a swap device\nhint: LimitMEMLOCK=infinity, as in the unit that is shipped; or use no swap, or an encrypted one"
    )]
    Limited {
        /// The hard limit (RLIMIT_MEMLOCK, setrlimit(2)).
        bytes: u64,
    },
    /// The kernel refused.
    #[error(
        "lock the memory of this process: {0}, so keys may reach a swap device\nhint: use no swap, or an encrypted one"
    )]
    Refused(#[from] nix::Error),
}

/// Keeps every page of this process out of swap from now on, those of libraries that see key bytes too. Hibernation writes them still.
///
/// # Errors
/// [`SwapError`]; a service says it and goes on: a host without swap needs none of this.
pub fn keep_out_of_swap() -> Result<(), SwapError> {
    use nix::sys::mman::{MlockAllFlags, mlockall};
    use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
    let limit = Resource::RLIMIT_MEMLOCK;
    let (soft, hard) = getrlimit(limit)?;
    let unlimited = setrlimit(limit, RLIM_INFINITY, RLIM_INFINITY).is_ok();
    if !unlimited {
        // At a limit of nothing the kernel asks for CAP_IPC_LOCK instead, and whoever has that knows no limit.
        setrlimit(limit, 0, hard)?;
    }
    // Pages that are never touched, most of each thread's stack, take no memory.
    let on_fault = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    let locked = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault);
    if !unlimited {
        setrlimit(limit, soft, hard)?;
        return locked.map_err(|_| SwapError::Limited { bytes: hard });
    }
    Ok(locked?)
}

/// Most descriptors that the kernel hands over at once (SCM_MAX_FD, unix(7)). With room for fewer, those that fit would have no owner.
const DESCRIPTORS_MAX: usize = 253;

/// What came over a Unix socket.
pub struct Received {
    /// How many bytes; 0 is the other side's end.
    pub length: usize,
    /// A descriptor that came with them. Of several the first; the others are closed.
    pub descriptor: Option<OwnedFd>,
}

/// Reads once from the Unix socket `stream`, with what is handed over beside the bytes.
///
/// # Errors
/// As recvmsg(2); `WouldBlock` if the socket does not wait and nothing is there.
pub fn receive(stream: &impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
    let mut space = nix::cmsg_space!([RawFd; DESCRIPTORS_MAX]);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(stream.as_fd().as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let mut descriptors = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            // SAFETY: the kernel has just made each of these descriptors in this process for us alone, and nobody else knows its number yet.
            descriptors.extend(
                numbers
                    .into_iter()
                    .map(|number| unsafe { OwnedFd::from_raw_fd(number) }),
            );
        }
    }
    Ok(Received {
        length: message.bytes,
        descriptor: descriptors.into_iter().next(),
    })
}

/// No key came through a pipe. No variant holds a byte of what came.
#[derive(Debug, Error)]
pub enum PipeKeyError {
    /// Files, terminals and sockets are refused: a key in a file stays there.
    #[error(
        "take the key from the descriptor: it is no pipe that can be read: {source}\nhint: tapekey-kms recover … --key-fd 1 | tapekey unlock DRIVE --key-fd 0"
    )]
    NotAPipe {
        /// What the system answered.
        source: io::Error,
    },
    /// Nothing, or not all of it, came in time.
    #[error(
        "take the key from the pipe: it was not there after {seconds} s\nhint: the program on its other end must write the key and end"
    )]
    TimedOut {
        /// How long was waited.
        seconds: u64,
    },
    /// Something else than a key came.
    #[error("take the key from the pipe: {0}")]
    WrongLength(#[from] WrongKeyLength),
    /// More than a key came.
    #[error(
        "take the key from the pipe: more than {KEY_LENGTH} bytes came\nhint: the pipe must give the 32 bytes of the key and nothing else"
    )]
    TooLong,
    /// The system refused.
    #[error("take the key from the pipe: {0}\nhint: try again")]
    System(#[from] io::Error),
}

/// Takes a key out of a pipe: exactly its 32 bytes, then the end, within `limit`. Buffers are wiped.
///
/// # Errors
/// [`PipeKeyError`].
pub async fn take_from_pipe(descriptor: OwnedFd, limit: Duration) -> Result<DataKey, PipeKeyError> {
    let mut pipe = pipe::Receiver::from_owned_fd(descriptor).map_err(|source| PipeKeyError::NotAPipe { source })?;
    // One byte more than a key, so that a longer one is seen.
    let mut bytes = Zeroizing::new([0; KEY_LENGTH + 1]);
    let reading = async {
        let mut length = 0;
        while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
            match pipe.read(room).await? {
                0 => break,
                read => length += read,
            }
        }
        Ok::<usize, io::Error>(length)
    };
    let length = match tokio::time::timeout(limit, reading).await {
        Ok(length) => length?,
        Err(_) => {
            return Err(PipeKeyError::TimedOut {
                seconds: limit.as_secs(),
            });
        }
    };
    if length > KEY_LENGTH {
        return Err(PipeKeyError::TooLong);
    }
    let came = bytes.get_mut(..length).unwrap_or_default();
    Ok(DataKey::take_slice(came)?)
}

/// Something offered as a key has the wrong length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key has {KEY_LENGTH} bytes, this one {found}\nhint: only AES-256 keys are used on tape")]
pub struct WrongKeyLength {
    /// How many bytes were offered.
    pub found: usize,
}

/// A key that seals other secrets at rest: the host master key, or a key protection key under it.
pub struct SealingKey(DataKey);

/// A secret under a [`SealingKey`]: AES-256-GCM, bound to the additional data it was sealed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The nonce, drawn anew for every sealing.
    pub nonce: [u8; NONCE_LENGTH],
    /// Cipher text and tag.
    pub sealed: Vec<u8>,
}

impl SealingKey {
    /// Uses `key` for sealing.
    #[must_use]
    pub fn new(key: DataKey) -> Self {
        Self(key)
    }

    /// The key itself, to be sealed under another one.
    #[must_use]
    pub fn as_key(&self) -> &DataKey {
        &self.0
    }

    /// Seals `secret`; it opens again only with the same `bound_to`.
    ///
    /// # Errors
    /// As [`Entropy::fill`]; sealing itself cannot fail for secrets that fit in memory.
    pub fn seal(&self, entropy: &dyn Entropy, secret: &[u8], bound_to: &[u8]) -> Result<Sealed, EntropyError> {
        let nonce = random_bytes(entropy)?;
        let payload = Payload {
            msg: secret,
            aad: bound_to,
        };
        let sealed = self
            .cipher()
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|error| EntropyError {
                wanted: secret.len(),
                reason: format!("the secret is too long to seal: {error}"),
            })?;
        Ok(Sealed { nonce, sealed })
    }

    /// Opens what [`SealingKey::seal`] made. The result is wiped on drop.
    ///
    /// # Errors
    /// [`OpenError`] if anything is not as it was sealed: the key, the bytes, or `bound_to`.
    pub fn open(&self, sealed: &Sealed, bound_to: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let payload = Payload {
            msg: &sealed.sealed,
            aad: bound_to,
        };
        self.cipher()
            .decrypt(&Nonce::from(sealed.nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| OpenError)
    }

    /// Opens a sealed data key.
    ///
    /// # Errors
    /// [`OpenError`] as [`SealingKey::open`], also if what was sealed is no key.
    pub fn open_key(&self, sealed: &Sealed, bound_to: &[u8]) -> Result<DataKey, OpenError> {
        let mut key = self.open(sealed, bound_to)?;
        DataKey::take_slice(&mut key).map_err(|_| OpenError)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(self.0.expose().into())
    }
}

/// A sealed secret did not open: wrong sealing key, altered bytes, or altered fields beside them. Which of these cannot be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a sealed secret did not open: the sealing key is another one, or the record was altered")]
pub struct OpenError;

/// A [`DataKey`] as base64 text, for the one place where it crosses the wire inside TLS. Use with `#[serde(with = "…")]`.
pub mod wire {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use zeroize::Zeroizing;

    use super::DataKey;

    /// Writes the key as base64.
    ///
    /// # Errors
    /// Those of `serializer`.
    pub fn serialize<S: Serializer>(key: &DataKey, serializer: S) -> Result<S::Ok, S::Error> {
        Zeroizing::new(STANDARD.encode(key.expose())).serialize(serializer)
    }

    /// Reads a key from base64. The error never repeats the text.
    ///
    /// # Errors
    /// Anything but the base64 of exactly 32 bytes.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DataKey, D::Error> {
        let text =
            Zeroizing::new(String::deserialize(deserializer).map_err(|_| D::Error::custom("a key must be text"))?);
        let mut bytes = Zeroizing::new(
            STANDARD
                .decode(text.as_bytes())
                .map_err(|_| D::Error::custom("a key must be base64"))?,
        );
        DataKey::take_slice(&mut bytes).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
            bytes.iter_mut().zip(1..).for_each(|(byte, value)| *byte = value);
            Ok(())
        }
    }

    #[test]
    fn a_process_that_keeps_its_secrets_leaves_no_core_and_cannot_be_looked_into() {
        use nix::sys::resource::{Resource, getrlimit};
        keep_in_this_process().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_CORE), Ok((0, 0)));
        assert_eq!(nix::sys::prctl::get_dumpable(), Ok(false));
    }

    #[test]
    fn taking_a_key_wipes_where_it_came_from() {
        let mut source = [7; KEY_LENGTH];
        let key = DataKey::take(&mut source);
        assert_eq!((key.expose(), source), (&[7; KEY_LENGTH], [0; KEY_LENGTH]));
        let mut too_long = [7; KEY_LENGTH + 1];
        assert_eq!(
            DataKey::take_slice(&mut too_long).err(),
            Some(WrongKeyLength { found: KEY_LENGTH + 1 })
        );
        assert_eq!(too_long, [0; KEY_LENGTH + 1]);
    }

    #[test]
    fn a_sealed_secret_opens_only_under_its_key_with_its_fields() {
        let key = SealingKey::new(DataKey::take(&mut [1; KEY_LENGTH]));
        let other = SealingKey::new(DataKey::take(&mut [2; KEY_LENGTH]));
        let mut sealed = key.seal(&Counting, b"the secret", b"fields").unwrap();
        assert!(!sealed.sealed.windows(10).any(|window| window == b"the secret"));
        assert_eq!(key.open(&sealed, b"fields").unwrap().as_slice(), b"the secret");
        assert_eq!(key.open(&sealed, b"field").err(), Some(OpenError));
        assert_eq!(other.open(&sealed, b"fields").err(), Some(OpenError));
        for byte in 0..sealed.sealed.len() {
            sealed.sealed[byte] ^= 1;
            assert_eq!(
                key.open(&sealed, b"fields").err(),
                Some(OpenError),
                "byte {byte} was altered"
            );
            sealed.sealed[byte] ^= 1;
        }
        assert!(key.open_key(&sealed, b"fields").is_err(), "ten bytes are no key");
    }

    async fn through_a_pipe(bytes: &[u8], close: bool) -> Result<DataKey, PipeKeyError> {
        use std::io::Write;
        let (read, mut write) = io::pipe().unwrap();
        write.write_all(bytes).unwrap();
        let held = (!close).then_some(write);
        let taken = take_from_pipe(read.into(), Duration::from_secs(30)).await;
        drop(held);
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_comes_through_a_pipe_whole_and_alone_or_not_at_all() {
        let key = through_a_pipe(&[7; KEY_LENGTH], true).await.ok().unwrap();
        assert!(key == DataKey::take(&mut [7; KEY_LENGTH]));
        let said = async |bytes: &[u8], close| through_a_pipe(bytes, close).await.err().unwrap().to_string();
        assert!(said(&[7; KEY_LENGTH + 1], true).await.contains("more than 32 bytes"));
        assert!(said(&[7; 9000], false).await.contains("more than 32 bytes"));
        assert!(said(&[7; KEY_LENGTH - 1], true).await.contains("this one 31"));
        assert!(said(b"", true).await.contains("this one 0"));
        assert!(
            said(&[7; KEY_LENGTH], false).await.contains("after 30 s"),
            "without an end more may come"
        );
    }

    #[tokio::test]
    async fn a_file_is_no_pipe() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let refused = take_from_pipe(file.into(), Duration::from_secs(1)).await.err().unwrap();
        assert!(matches!(refused, PipeKeyError::NotAPipe { .. }), "{refused}");
    }

    #[test]
    fn of_several_descriptors_handed_over_one_is_kept_and_none_leaks() {
        use nix::sys::socket::{ControlMessage, sendmsg};
        let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let numbers = [file.as_raw_fd(); DESCRIPTORS_MAX];
        let parts = [io::IoSlice::new(b"line")];
        sendmsg::<()>(
            one.as_raw_fd(),
            &parts,
            &[ControlMessage::ScmRights(&numbers)],
            MsgFlags::empty(),
            None,
        )
        .unwrap();
        let mut buffer = [0; 16];
        let before = count();
        let received = receive(&other, &mut buffer).unwrap();
        assert_eq!((received.length, received.descriptor.is_some()), (4, true));
        drop(received);
        // Other tests of this process open descriptors too, but not a hundred.
        assert!(count() <= before + 100, "{before} before");
    }

    #[test]
    fn the_wire_form_is_base64_and_its_errors_do_not_repeat_the_text() {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Carrier {
            #[serde(with = "wire")]
            key: DataKey,
        }
        let text = serde_json::to_string(&Carrier {
            key: DataKey::take(&mut [0xFF; KEY_LENGTH]),
        })
        .unwrap();
        assert_eq!(text, r#"{"key":"//////////////////////////////////////////8="}"#);
        assert!(serde_json::from_str::<Carrier>(&text).unwrap().key == DataKey::take(&mut [0xFF; KEY_LENGTH]));
        for bad in [r#"{"key":"c2VjcmV0"}"#, r#"{"key":"c2VjcmV0!"}"#, r#"{"key":5}"#] {
            let error = serde_json::from_str::<Carrier>(bad).err().unwrap().to_string();
            assert!(!error.contains("c2Vj"), "{error}");
        }
    }
}
