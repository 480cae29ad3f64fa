//! SG_IO and the small ioctls of `sg` (its header `scsi/sg.h`, interface version 3).

use core::ffi::{c_int, c_uint, c_void};

use crate::descriptor::Open;
use crate::libc::{self, Piece};
use crate::link::{Answer, Broker, CDB_BYTES_MAX, Operation, Request};

/// `struct sg_io_hdr`
#[repr(C)]
#[derive(Clone, Copy)]
struct Header {
    interface: c_int,
    direction: c_int,
    cdb_length: u8,
    sense_length_max: u8,
    piece_count: u16,
    length: c_uint,
    data: *mut c_void,
    cdb: *const u8,
    sense: *mut u8,
    timeout_ms: c_uint,
    flags: c_uint,
    pack_id: c_int,
    user: *mut c_void,
    status: u8,
    masked_status: u8,
    message_status: u8,
    sense_length: u8,
    host_status: u16,
    driver_status: u16,
    residual: c_int,
    duration_ms: c_uint,
    info: c_uint,
}

const TO_DEVICE: c_int = -2;
const FROM_DEVICE: c_int = -3;
const TO_AND_FROM_DEVICE: c_int = -4;
const NO_DATA: c_int = -1;
const CHECK_CONDITION: u8 = 0x02;
const DRIVER_SENSE: u16 = 0x08;
const INFO_CHECK: c_uint = 1;
/// More pieces than any program uses; the kernel's limit is 1024 too.
const PIECES_MAX: u16 = 1024;
/// What one request may move, as in the socket protocol: 16 MiB and 4 KiB.
const TRANSFER_BYTES_MAX: usize = 0x0100_1000;

/// SG_IO: one command and its answer.
///
/// # Safety
/// `argument` is null or points to a `struct sg_io_hdr` whose pointers are as that struct demands.
pub(crate) unsafe fn command(open: &Open, argument: *mut c_void) -> Result<c_int, c_int> {
    if argument.is_null() {
        return Err(libc::EFAULT);
    }
    // SAFETY: the caller's promise.
    let header = unsafe { argument.cast::<Header>().read() };
    if header.interface != c_int::from(b'S') {
        return Err(libc::ENOSYS);
    }
    if header.cdb.is_null() || !(6..=CDB_BYTES_MAX).contains(&usize::from(header.cdb_length)) {
        return Err(libc::EMSGSIZE);
    }
    let one = [Piece {
        base: header.data,
        length: header.length as usize,
    }];
    // SAFETY: the caller's promise.
    let pieces = unsafe { pieces(&header, &one) }?;
    let none: &[Piece] = &[];
    let (data_out, data_in) = match header.direction {
        NO_DATA => (none, none),
        TO_DEVICE => (pieces, none),
        FROM_DEVICE | TO_AND_FROM_DEVICE => (none, pieces),
        _ if header.length == 0 => (none, none),
        _ => return Err(libc::EINVAL),
    };
    // SAFETY: the caller's promise: `cdb_length` bytes, at most 255.
    let cdb = unsafe { core::slice::from_raw_parts(header.cdb, usize::from(header.cdb_length)) };
    let request = Request {
        cdb,
        numbers: [header.timeout_ms.cast_signed(), 0],
        ..Request::about(open, Operation::Scsi)
    };
    let broker = Broker::behind(open).ok_or(libc::ENODEV)?;
    // SAFETY: the caller's promise about the data.
    let answer = unsafe { request.ask(&broker, data_out, data_in) }?;
    if answer.errno != 0 {
        return Err(answer.errno);
    }
    let moved = if data_in.is_empty() {
        header.length as usize
    } else {
        answer.data_in
    };
    // SAFETY: the caller's promise. The program waits for this call and does not use the header meanwhile.
    unsafe { deliver(&mut *argument.cast::<Header>(), &answer, moved) };
    Ok(0)
}

/// Puts into the header what came of the command.
///
/// # Safety
/// `header.sense` is null or has room for `sense_length_max` bytes.
unsafe fn deliver(header: &mut Header, answer: &Answer, moved: usize) {
    header.status = answer.scsi_status;
    header.masked_status = (answer.scsi_status >> 1) & 0x1F;
    header.message_status = 0;
    header.host_status = u16::try_from(answer.value).unwrap_or(u16::MAX);
    header.driver_status = if answer.scsi_status == CHECK_CONDITION {
        DRIVER_SENSE
    } else {
        0
    };
    header.sense_length = 0;
    if !header.sense.is_null() {
        let length = answer.sense_length.min(usize::from(header.sense_length_max));
        // SAFETY: the caller's promise, and `length` is no more than that.
        unsafe { core::ptr::copy_nonoverlapping(answer.sense.as_ptr(), header.sense, length) };
        header.sense_length = u8::try_from(length).unwrap_or(header.sense_length_max);
    }
    header.residual = c_int::try_from((header.length as usize).saturating_sub(moved)).unwrap_or(c_int::MAX);
    header.duration_ms = 0;
    header.info = if header.status != 0 || header.host_status != 0 {
        INFO_CHECK
    } else {
        0
    };
}

/// The memory that the data is in: one piece, or as many as the header says.
unsafe fn pieces<'a>(header: &'a Header, one: &'a [Piece]) -> Result<&'a [Piece], c_int> {
    if header.length as usize > TRANSFER_BYTES_MAX {
        return Err(libc::ENOMEM);
    }
    match header.piece_count {
        _ if header.length == 0 || header.direction == NO_DATA => Ok(&[]),
        0 => Ok(one),
        count if count > PIECES_MAX || header.data.is_null() => Err(libc::EINVAL),
        count => {
            // SAFETY: the header's promise: `piece_count` pieces behind `data`.
            let pieces = unsafe { core::slice::from_raw_parts(header.data.cast::<Piece>(), usize::from(count)) };
            let sum = pieces
                .iter()
                .fold(0usize, |sum, piece| sum.saturating_add(piece.length));
            // The kernel shortens the list in this case; no program known does that.
            if sum == header.length as usize {
                Ok(pieces)
            } else {
                Err(libc::EINVAL)
            }
        }
    }
}

/// `struct sg_scsi_id`
#[repr(C)]
struct ScsiId {
    host: c_int,
    channel: c_int,
    target: c_int,
    lun: c_int,
    device_type: c_int,
    commands_per_lun: i16,
    queue_depth: i16,
    unused: [c_int; 2],
}

const SG_GET_TIMEOUT: u32 = 0x2202;
const SG_EMULATED_HOST: u32 = 0x2203;
const SG_GET_COMMAND_Q: u32 = 0x2270;
const SG_GET_RESERVED_SIZE: u32 = 0x2272;
const SG_GET_SCSI_ID: u32 = 0x2276;
const SG_GET_LOW_DMA: u32 = 0x227A;
const SG_GET_PACK_ID: u32 = 0x227C;
const SG_GET_NUM_WAITING: u32 = 0x227D;
const SG_GET_SG_TABLESIZE: u32 = 0x227F;
const SG_GET_VERSION_NUM: u32 = 0x2282;
const SG_SCSI_RESET: u32 = 0x2284;
const SG_GET_KEEP_ORPHAN: u32 = 0x2288;
const SCSI_IOCTL_GET_IDLUN: u32 = 0x5382;
const SCSI_IOCTL_PROBE_HOST: u32 = 0x5385;
const SCSI_IOCTL_GET_BUS_NUMBER: u32 = 0x5386;
/// Set timeout, reserved size, command queueing, low DMA, pack id, debugging, keep orphan: accepted, and nothing here depends on them.
const SETTERS: [u32; 7] = [0x2201, 0x2271, 0x2275, 0x2279, 0x227B, 0x227E, 0x2287];
/// What Linux 6.1 says: version 3.5.36.
const DRIVER_VERSION: c_int = 30_536;
/// 60 seconds in clock ticks.
const TIMEOUT_TICKS: c_int = 6000;
const RESERVED_BYTES: c_int = 32_768;

/// The ioctls that ask about the driver rather than the drive.
///
/// # Safety
/// `argument` points to what the ioctl is documented to take.
pub(crate) unsafe fn control(open: &Open, request: u32, argument: *mut c_void) -> Result<c_int, c_int> {
    let value = match request {
        SG_GET_TIMEOUT => return Ok(TIMEOUT_TICKS),
        SG_GET_SCSI_ID => {
            let device_type = device_type(open)?;
            // SAFETY: the caller's promise: room for a `struct sg_scsi_id`.
            unsafe { argument.cast::<ScsiId>().write_unaligned(scsi_id(open, device_type)) };
            return Ok(0);
        }
        SCSI_IOCTL_GET_IDLUN => {
            let id = [c_uint::from(open.node.unit), 0];
            // SAFETY: the caller's promise: room for two integers.
            unsafe { argument.cast::<[c_uint; 2]>().write_unaligned(id) };
            return Ok(0);
        }
        SG_SCSI_RESET => {
            // SAFETY: the caller's promise: an integer.
            return reset(open, unsafe { argument.cast::<c_int>().read_unaligned() });
        }
        SG_GET_VERSION_NUM => DRIVER_VERSION,
        SG_GET_RESERVED_SIZE => RESERVED_BYTES,
        SG_GET_COMMAND_Q => 1,
        SG_GET_SG_TABLESIZE => c_int::from(PIECES_MAX),
        SG_GET_PACK_ID => -1,
        SG_EMULATED_HOST | SG_GET_LOW_DMA | SG_GET_NUM_WAITING | SG_GET_KEEP_ORPHAN | SCSI_IOCTL_GET_BUS_NUMBER => 0,
        SCSI_IOCTL_PROBE_HOST => return Ok(1),
        other if SETTERS.contains(&other) => return Ok(0),
        _ => return Err(libc::ENOTTY),
    };
    if argument.is_null() {
        return Err(libc::EFAULT);
    }
    // SAFETY: the caller's promise: room for an integer.
    unsafe { argument.cast::<c_int>().write_unaligned(value) };
    Ok(0)
}

/// Asks for a reset of the drive (1) or, as one host is all there is, of the bus or host (2, 3). 0 asks for nothing.
fn reset(open: &Open, what: c_int) -> Result<c_int, c_int> {
    match what & 0xFF {
        0 => Ok(0),
        1..=4 => {
            let broker = Broker::behind(open).ok_or(libc::ENODEV)?;
            // SAFETY: there is no data.
            let answer = unsafe { Request::about(open, Operation::Reset).ask(&broker, &[], &[]) }?;
            if answer.errno == 0 { Ok(0) } else { Err(answer.errno) }
        }
        _ => Err(libc::EINVAL),
    }
}

/// The peripheral device type: 01h a drive, 08h a changer.
fn device_type(open: &Open) -> Result<c_int, c_int> {
    let broker = Broker::behind(open).ok_or(libc::ENODEV)?;
    // SAFETY: there is no data.
    let answer = unsafe { Request::about(open, Operation::Exists).ask(&broker, &[], &[]) }?;
    if answer.errno == 0 {
        Ok(answer.value.cast_signed())
    } else {
        Err(answer.errno)
    }
}

fn scsi_id(open: &Open, device_type: c_int) -> ScsiId {
    ScsiId {
        host: 0,
        channel: 0,
        target: c_int::from(open.node.unit),
        lun: 0,
        device_type,
        commands_per_lun: 1,
        queue_depth: 1,
        unused: [0; 2],
    }
}
