//! What only `st` does: blocks and the ioctls of mtio(4).

use core::ffi::{c_int, c_long, c_void};

use crate::descriptor::Open;
use crate::libc::{self, Piece};
use crate::link::{Answer, Broker, Operation, Request};

pub(crate) const MTIOCTOP: u32 = 0x4008_6D01;
pub(crate) const MTIOCGET: u32 = 0x8030_6D02;
pub(crate) const MTIOCPOS: u32 = 0x8008_6D03;

/// `struct mtop`
#[repr(C)]
#[derive(Clone, Copy)]
struct TapeOperation {
    operation: i16,
    count: i32,
}

/// `struct mtget`
#[repr(C)]
#[derive(Clone, Copy)]
struct TapeStatus {
    drive_type: c_long,
    residual: c_long,
    drive_status: c_long,
    general_status: c_long,
    error: c_long,
    file_number: c_int,
    block_number: c_int,
}

pub(crate) unsafe fn read(open: &Open, piece: Piece) -> Result<isize, c_int> {
    // SAFETY: the caller's promise about `piece`.
    let answer = unsafe { ask(&Request::about(open, Operation::Read), open, &[], &[piece]) }?;
    isize::try_from(answer.data_in).map_err(|_| libc::EIO)
}

pub(crate) unsafe fn write(open: &Open, piece: Piece) -> Result<isize, c_int> {
    // SAFETY: the caller's promise about `piece`.
    let answer = unsafe { ask(&Request::about(open, Operation::Write), open, &[piece], &[]) }?;
    isize::try_from(answer.value).map_err(|_| libc::EIO)
}

/// One of the three ioctls of a tape.
///
/// # Safety
/// `argument` points to what the ioctl is documented to take.
pub(crate) unsafe fn control(open: &Open, request: u32, argument: *mut c_void) -> Result<c_int, c_int> {
    if argument.is_null() {
        return Err(libc::EFAULT);
    }
    match request {
        MTIOCTOP => {
            // SAFETY: the caller's promise: a `struct mtop`.
            let wanted = unsafe { argument.cast::<TapeOperation>().read_unaligned() };
            let request = Request {
                numbers: [i32::from(wanted.operation), wanted.count],
                ..Request::about(open, Operation::Move)
            };
            // SAFETY: there is no data.
            unsafe { ask(&request, open, &[], &[]) }?;
        }
        MTIOCGET => {
            let status = status(open)?;
            // SAFETY: the caller's promise: room for a `struct mtget`.
            unsafe { argument.cast::<TapeStatus>().write_unaligned(status) };
        }
        _ => {
            // SAFETY: there is no data.
            let answer = unsafe { ask(&Request::about(open, Operation::Position), open, &[], &[]) }?;
            // SAFETY: the caller's promise: room for a `struct mtpos`, which is one long.
            unsafe { argument.cast::<c_long>().write_unaligned(c_long::from(answer.value)) };
        }
    }
    Ok(0)
}

/// Seven numbers of 32 bits come from the other side; the kernel's are longer.
fn status(open: &Open) -> Result<TapeStatus, c_int> {
    let mut bytes = [0u8; 28];
    let piece = Piece {
        base: bytes.as_mut_ptr().cast(),
        length: bytes.len(),
    };
    // SAFETY: `piece` is `bytes`, which nobody else uses meanwhile.
    let answer = unsafe { ask(&Request::about(open, Operation::Status), open, &[], &[piece]) }?;
    if answer.data_in != bytes.len() {
        return Err(libc::EIO);
    }
    let number = |at: usize| i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let unsigned = |at: usize| c_long::from(number(at).cast_unsigned());
    Ok(TapeStatus {
        drive_type: unsigned(0),
        residual: unsigned(4),
        drive_status: unsigned(8),
        general_status: unsigned(12),
        error: unsigned(16),
        file_number: number(20),
        block_number: number(24),
    })
}

/// Waits until the close of a tape has been dealt with, and says how that went.
pub(crate) fn await_release(open: &Open, broker: &Broker) -> c_int {
    // SAFETY: there is no data.
    match unsafe { Request::about(open, Operation::Released).ask(broker, &[], &[]) } {
        Ok(answer) => answer.errno,
        // Nobody there any more: what could be written was written by the end of `sg-sim run`.
        Err(_) => 0,
    }
}

unsafe fn ask(request: &Request<'_>, open: &Open, data_out: &[Piece], data_in: &[Piece]) -> Result<Answer, c_int> {
    let broker = Broker::behind(open).ok_or(libc::ENODEV)?;
    // SAFETY: the caller's promise about the pieces.
    let answer = unsafe { request.ask(&broker, data_out, data_in) }?;
    if answer.errno == 0 {
        Ok(answer)
    } else {
        Err(answer.errno)
    }
}
