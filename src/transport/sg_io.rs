//! SG_IO on a Linux `sg` node: the way to a real drive.
//!
//! The node is opened read-write and O_NONBLOCK. It never rewinds on close and does not disturb what `st` knows of the drive.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use super::{Completion, Data, SENSE_LENGTH_MAX, Transport, TransportError};

/// An open `sg` node.
pub struct SgNode {
    file: File,
    name: String,
}

impl SgNode {
    /// Opens the node at `path`, such as `/dev/sg3`.
    ///
    /// # Errors
    /// [`TransportError::Path`] if the system refuses.
    pub fn open(path: &Path) -> Result<Self, TransportError> {
        let name = path.display().to_string();
        match OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
        {
            Ok(file) => Ok(Self { file, name }),
            Err(error) => Err(TransportError::Path {
                path: name,
                attempt: "open",
                reason: error.to_string(),
                hint: "the daemon needs read and write access to the sg node of the drive (`lsscsi -g` lists it)",
            }),
        }
    }
}

impl SgNode {
    /// Opens the node at `path` only if it is the character device with these numbers: the kernel may have given its name to another.
    ///
    /// # Errors
    /// [`TransportError::Path`] if the system refuses, or the node is another device's.
    pub fn open_device(path: &Path, major: u32, minor: u32) -> Result<Self, TransportError> {
        let node = Self::open(path)?;
        let failed = |reason| TransportError::Path {
            path: path.display().to_string(),
            attempt: "open",
            reason,
            hint: "devices came or went meanwhile; try again",
        };
        let device = node.file.metadata().map_err(|error| failed(error.to_string()))?.rdev();
        let found = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
        if found == (major.into(), minor.into()) {
            return Ok(node);
        }
        let (found_major, found_minor) = found;
        Err(failed(format!(
            "it is device {found_major}:{found_minor}, not {major}:{minor}"
        )))
    }
}

impl Transport for SgNode {
    fn execute(&mut self, cdb: &[u8], mut data: Data<'_>, timeout: Duration) -> Result<Completion, TransportError> {
        let mut soft_errors = 0;
        let mut requeues = 0;
        loop {
            let mut sense = [0; SENSE_LENGTH_MAX];
            let reply =
                sg_io(&self.file, cdb, &mut data, &mut sense, timeout).map_err(|error| TransportError::Path {
                    path: self.name.clone(),
                    attempt: "SG_IO",
                    reason: error.to_string(),
                    hint: hint(&error),
                })?;
            match evaluate(&reply) {
                Verdict::Answered => return Ok(reply.completion(&sense)),
                Verdict::SoftError if soft_errors < SOFT_ERROR_RETRIES => soft_errors += 1,
                Verdict::Requeue if requeues < REQUEUE_RETRIES => requeues += 1,
                Verdict::TimedOut => {
                    return Err(TransportError::Timeout {
                        path: self.name.clone(),
                        timeout_ms: timeout.as_millis(),
                    });
                }
                Verdict::ReservationConflict => {
                    return Err(TransportError::ReservationConflict {
                        path: self.name.clone(),
                    });
                }
                Verdict::SoftError | Verdict::Requeue | Verdict::HostFailed => {
                    return Err(TransportError::Host {
                        path: self.name.clone(),
                        host_status: reply.host_status,
                        driver_status: reply.driver_status,
                    });
                }
            }
        }
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// What to do about an SG_IO that the system did not carry out.
fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "the system filters commands: give the daemon CAP_SYS_RAWIO, and write access to the drive's sg node"
        }
        Some(libc::EINVAL) => "use the sg node of the drive: a vendor's driver such as lin_tape takes no such commands",
        Some(libc::ENODEV | libc::ENXIO) => "the drive has gone; look at its power, its cabling and the kernel's log",
        _ => "use the sg node of the drive, not the one of a vendor's driver",
    }
}

/// What the kernel wrote into the header.
#[derive(Debug, Clone, Copy, Default)]
struct Reply {
    status: u8,
    host_status: u16,
    driver_status: u16,
    sense_length: usize,
    transferred: usize,
}

impl Reply {
    fn completion(&self, sense: &[u8]) -> Completion {
        Completion {
            status: self.status,
            sense: sense.get(..self.sense_length).unwrap_or(sense).to_vec(),
            transferred: self.transferred,
        }
    }
}

/// What to make of a reply, in the order that works on real adapters: host status first, SCSI status and sense after it.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Answered,
    SoftError,
    Requeue,
    TimedOut,
    ReservationConflict,
    HostFailed,
}

fn evaluate(reply: &Reply) -> Verdict {
    match reply.host_status {
        DID_OK if reply.status == STATUS_RESERVATION_CONFLICT => Verdict::ReservationConflict,
        // DRIVER_SENSE (8) is set by old kernels only, so it is neither required nor an error.
        DID_OK => match reply.driver_status & 0x0F {
            DRIVER_TIMEOUT => Verdict::TimedOut,
            _ => Verdict::Answered,
        },
        DID_TIME_OUT => Verdict::TimedOut,
        DID_SOFT_ERROR => Verdict::SoftError,
        DID_IMM_RETRY | DID_REQUEUE => Verdict::Requeue,
        DID_NEXUS_FAILURE => Verdict::ReservationConflict,
        _ => Verdict::HostFailed,
    }
}

/// `sg_io_hdr` version 3 of `<scsi/sg.h>`.
#[repr(C)]
struct SgIoHeader {
    interface_id: libc::c_int,
    dxfer_direction: libc::c_int,
    cmd_len: libc::c_uchar,
    mx_sb_len: libc::c_uchar,
    iovec_count: libc::c_ushort,
    dxfer_len: libc::c_uint,
    dxferp: *mut libc::c_void,
    cmdp: *const libc::c_uchar,
    sbp: *mut libc::c_uchar,
    timeout: libc::c_uint,
    flags: libc::c_uint,
    pack_id: libc::c_int,
    usr_ptr: *mut libc::c_void,
    status: libc::c_uchar,
    masked_status: libc::c_uchar,
    msg_status: libc::c_uchar,
    sb_len_wr: libc::c_uchar,
    host_status: libc::c_ushort,
    driver_status: libc::c_ushort,
    resid: libc::c_int,
    duration: libc::c_uint,
    info: libc::c_uint,
}

/// One SG_IO call. `sense` receives up to 252 bytes.
fn sg_io(
    file: &File,
    cdb: &[u8],
    data: &mut Data<'_>,
    sense: &mut [u8; SENSE_LENGTH_MAX],
    timeout: Duration,
) -> io::Result<Reply> {
    let too_long = || io::Error::from(io::ErrorKind::InvalidInput);
    let (dxfer_direction, dxferp, length) = match data {
        Data::None => (SG_DXFER_NONE, std::ptr::null_mut(), 0),
        Data::In(buffer) => (SG_DXFER_FROM_DEV, buffer.as_mut_ptr().cast(), buffer.len()),
        // The kernel only reads through this pointer when the direction is TO_DEV.
        Data::Out(buffer) => (SG_DXFER_TO_DEV, buffer.as_ptr().cast_mut().cast(), buffer.len()),
    };
    let mut header = SgIoHeader {
        interface_id: libc::c_int::from(b'S'),
        dxfer_direction,
        cmd_len: cdb.len().try_into().map_err(|_| too_long())?,
        mx_sb_len: SENSE_LENGTH_MAX.try_into().map_err(|_| too_long())?,
        iovec_count: 0,
        dxfer_len: length.try_into().map_err(|_| too_long())?,
        dxferp,
        cmdp: cdb.as_ptr(),
        sbp: sense.as_mut_ptr(),
        timeout: timeout.as_millis().try_into().unwrap_or(libc::c_uint::MAX),
        flags: 0,
        pack_id: 0,
        usr_ptr: std::ptr::null_mut(),
        status: 0,
        masked_status: 0,
        msg_status: 0,
        sb_len_wr: 0,
        host_status: 0,
        driver_status: 0,
        resid: 0,
        duration: 0,
        info: 0,
    };
    #[expect(unsafe_code, reason = "SG_IO is an ioctl that takes pointers")]
    // SAFETY: the kernel follows three pointers in `header`: command, sense and data.
    // - All three come from slices borrowed by this call, and the lengths beside them are those slices' lengths.
    // - `dxferp` is written only when the direction is FROM_DEV, and then it comes from a `&mut` slice.
    // - `header` itself is a `repr(C)` copy of the kernel's `sg_io_hdr` and lives until the call returns.
    // - The call is synchronous, so no pointer outlives it. The write()/read() interface of sg would break this.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), SG_IO, &raw mut header) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Reply {
        status: header.status,
        host_status: header.host_status,
        driver_status: header.driver_status,
        sense_length: header.sb_len_wr.into(),
        transferred: length.saturating_sub(usize::try_from(header.resid).unwrap_or(0)),
    })
}

const SG_IO: libc::Ioctl = 0x2285;
const SG_DXFER_NONE: libc::c_int = -1;
const SG_DXFER_TO_DEV: libc::c_int = -2;
const SG_DXFER_FROM_DEV: libc::c_int = -3;

const STATUS_RESERVATION_CONFLICT: u8 = 0x18;

const DID_OK: u16 = 0x00;
const DID_TIME_OUT: u16 = 0x03;
const DID_SOFT_ERROR: u16 = 0x0B;
const DID_IMM_RETRY: u16 = 0x0C;
const DID_REQUEUE: u16 = 0x0D;
const DID_NEXUS_FAILURE: u16 = 0x11;
const DRIVER_TIMEOUT: u16 = 0x06;

/// A soft error is worth one more try.
const SOFT_ERROR_RETRIES: u32 = 1;

/// The midlayer asks for these itself; more than a few mean that it will not stop.
const REQUEUE_RETRIES: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(host_status: u16, driver_status: u16, status: u8) -> Reply {
        Reply {
            host_status,
            driver_status,
            status,
            ..Reply::default()
        }
    }

    #[test]
    fn host_status_is_looked_at_before_scsi_status() {
        assert_eq!(evaluate(&reply(0, 0, 0x02)), Verdict::Answered);
        assert_eq!(
            evaluate(&reply(0, 0x08, 0x02)),
            Verdict::Answered,
            "old kernels set DRIVER_SENSE"
        );
        assert_eq!(evaluate(&reply(0, 0x06, 0x00)), Verdict::TimedOut);
        assert_eq!(evaluate(&reply(3, 0, 0x00)), Verdict::TimedOut);
        assert_eq!(
            evaluate(&reply(1, 0, 0x00)),
            Verdict::HostFailed,
            "GOOD with no connection is not good"
        );
        assert_eq!(evaluate(&reply(0x0B, 0, 0)), Verdict::SoftError);
        assert_eq!(evaluate(&reply(0x0D, 0, 0)), Verdict::Requeue);
        assert_eq!(evaluate(&reply(0x11, 0, 0)), Verdict::ReservationConflict);
        assert_eq!(evaluate(&reply(0, 0, 0x18)), Verdict::ReservationConflict);
    }

    #[test]
    fn the_header_has_the_kernels_size_on_64_bit_machines() {
        if size_of::<usize>() == 8 {
            assert_eq!(size_of::<SgIoHeader>(), 88);
        }
    }

    #[test]
    fn sense_counts_only_as_far_as_it_was_written() {
        let written = Reply {
            sense_length: 3,
            transferred: 5,
            ..Reply::default()
        }
        .completion(&[0x70, 0, 6, 0xA5, 0xA5]);
        assert_eq!((written.sense, written.transferred), (vec![0x70, 0, 6], 5));
    }

    #[test]
    fn a_node_that_was_given_to_another_device_is_not_used() {
        assert!(SgNode::open_device(Path::new("/dev/null"), 1, 3).is_ok());
        let error = SgNode::open_device(Path::new("/dev/null"), 21, 3)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("it is device 1:3, not 21:3\nhint: "), "{error}");
    }

    #[test]
    fn a_node_that_is_no_sg_node_gives_a_clear_error() {
        let mut node = SgNode::open(Path::new("/dev/null")).unwrap();
        let error = node
            .execute(&[0; 6], Data::None, Duration::from_secs(1))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("/dev/null: SG_IO: ") && error.contains("\nhint: "),
            "{error}"
        );
        let missing = SgNode::open(Path::new("/nonexistent/sg0")).err().unwrap().to_string();
        assert!(missing.starts_with("/nonexistent/sg0: open: "), "{missing}");
    }
}
