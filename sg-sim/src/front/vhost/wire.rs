//! The frames of virtio-scsi: request header, response, task management (VIRTIO 1.2, "SCSI Host Device").
//!
//! Pure: bytes in, values out, and back. Little-endian, as virtio 1 has it, except the LUN, which is SCSI's own.

/// Length of a request header: LUN, tag, task attribute, priority, CRN, CDB.
pub(super) const REQUEST_BYTES: usize = 51;
/// Length of a response: sense length, residual, status qualifier, status, response, sense.
pub(super) const RESPONSE_BYTES: usize = 108;
/// Length of the longest request on the control queue, a task management function: type, subtype, LUN, tag.
pub(super) const CONTROL_BYTES_MAX: usize = 24;

const CDB_BYTES: usize = 32;
const SENSE_BYTES_MAX: usize = 96;

/// What the device says of a request besides the SCSI status ("response" field).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Outcome {
    /// The request was delivered; of a task management function: it is complete.
    Ok = 0,
    /// The task was aborted by a task management function.
    Aborted = 2,
    /// There is no such target or logical unit.
    BadTarget = 3,
    /// The task was cut off by a reset.
    Reset = 4,
    /// The queue of the target is full.
    Busy = 5,
    /// The way to the target was lost.
    TransportFailure = 6,
    /// The target has failed.
    TargetFailure = 7,
    /// The nexus has failed.
    NexusFailure = 8,
    /// The request cannot be executed as it stands.
    Failure = 9,
    /// The task management function is not supported.
    FunctionRejected = 11,
}

impl Outcome {
    /// The byte on the wire.
    pub(super) const fn byte(self) -> u8 {
        self as u8
    }

    /// What a Linux guest's driver makes this host status of, or as near to it as the responses come.
    pub(super) const fn of_host_status(host_status: u8) -> Self {
        match host_status {
            0x01 | 0x04 => Self::BadTarget,
            0x02 => Self::Busy,
            0x05 => Self::Aborted,
            0x08 => Self::Reset,
            0x0E => Self::TransportFailure,
            0x10 => Self::TargetFailure,
            0x11 => Self::NexusFailure,
            _ => Self::Failure,
        }
    }
}

/// Which target and logical unit a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address {
    /// Target number.
    pub(super) target: u8,
    /// Logical unit number of that target.
    pub(super) lun: u16,
}

impl Address {
    /// Reads the LUN field: 01h, target, single-level LUN structure (peripheral or flat), four zero bytes. `None`: it addresses nothing.
    pub(super) fn decode(field: [u8; 8]) -> Option<Self> {
        let [1, target, high, low, 0, 0, 0, 0] = field else {
            return None;
        };
        let lun = match high {
            0x00 => u16::from(low),
            0x40..=0x7F => u16::from_be_bytes([high & 0x3F, low]),
            _ => return None,
        };
        Some(Self { target, lun })
    }
}

/// A command's header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Request {
    /// Who is to execute it; `None` if the field names nobody.
    pub(super) address: Option<Address>,
    /// What the guest calls it.
    pub(super) tag: u64,
    /// CDB, cut to the length that its operation code says.
    cdb: [u8; CDB_BYTES],
}

impl Request {
    /// Reads a header. `None`: too short.
    pub(super) fn decode(header: &[u8]) -> Option<Self> {
        let (lun, rest) = header.split_first_chunk()?;
        let (tag, rest) = rest.split_first_chunk()?;
        let (_attribute_priority_crn, rest) = rest.split_first_chunk::<3>()?;
        let cdb = rest.first_chunk()?;
        Some(Self {
            address: Address::decode(*lun),
            tag: u64::from_le_bytes(*tag),
            cdb: *cdb,
        })
    }

    /// The CDB. The field has 32 bytes whatever the command, so the group code decides how many count (SPC-4, "CDB formats").
    ///
    /// All 32 bytes count where the group code does not say a length: variable-length and vendor-specific commands.
    pub(super) fn cdb(&self) -> &[u8] {
        let [operation_code, ..] = self.cdb;
        let length = match operation_code >> 5 {
            0 => 6,
            1 | 2 => 10,
            4 => 16,
            5 => 12,
            _ => CDB_BYTES,
        };
        self.cdb.split_at(length).0
    }
}

/// What becomes of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Response<'a> {
    /// Outcome of the delivery.
    pub(super) outcome: Outcome,
    /// SCSI status.
    pub(super) status: u8,
    /// Bytes of the data buffer that were not transferred.
    pub(super) residual: u32,
    /// Sense data; only its first 96 bytes find room.
    pub(super) sense: &'a [u8],
}

impl Response<'_> {
    /// A response that tells the outcome alone.
    pub(super) const fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            status: 0,
            residual: 0,
            sense: &[],
        }
    }

    /// Writes the response.
    pub(super) fn encode(&self) -> [u8; RESPONSE_BYTES] {
        let mut bytes = [0; RESPONSE_BYTES];
        let sense = self.sense.split_at(self.sense.len().min(SENSE_BYTES_MAX)).0;
        // At most 96.
        let sense_bytes = u32::try_from(sense.len()).unwrap_or_default();
        let fields = sense_bytes
            .to_le_bytes()
            .into_iter()
            .chain(self.residual.to_le_bytes())
            .chain([0, 0, self.status, self.outcome.byte()])
            .chain(sense.iter().copied());
        for (byte, field) in bytes.iter_mut().zip(fields) {
            *byte = field;
        }
        bytes
    }
}

/// A request on the control queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Control {
    /// A task management function for a unit.
    TaskManagement {
        /// What is to be done.
        function: Function,
        /// For whom.
        address: Option<Address>,
    },
    /// Which asynchronous events a unit can report, or which it shall report.
    Notification {
        /// The unit.
        address: Option<Address>,
    },
    /// A type that virtio does not define.
    Unknown,
}

/// A task management function (SAM-5, "Task management functions").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Function {
    /// ABORT TASK: the one with this tag.
    AbortTask(u64),
    /// ABORT TASK SET and CLEAR TASK SET, the same where there is one nexus.
    AbortTaskSet,
    /// LOGICAL UNIT RESET.
    LogicalUnitReset,
    /// Any other.
    Other(u32),
}

impl Control {
    /// Reads a request from what the guest sent. `None`: too short for its type.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first_chunk()?;
        match u32::from_le_bytes(*kind) {
            0 => Self::task_management(rest),
            1 | 2 => {
                let (lun, rest) = rest.split_first_chunk()?;
                rest.first_chunk::<4>()?;
                Some(Self::Notification {
                    address: Address::decode(*lun),
                })
            }
            _ => Some(Self::Unknown),
        }
    }

    fn task_management(bytes: &[u8]) -> Option<Self> {
        let (subtype, rest) = bytes.split_first_chunk()?;
        let (lun, rest) = rest.split_first_chunk()?;
        let tag = rest.first_chunk()?;
        let function = match u32::from_le_bytes(*subtype) {
            0 => Function::AbortTask(u64::from_le_bytes(*tag)),
            1 | 3 => Function::AbortTaskSet,
            5 => Function::LogicalUnitReset,
            other => Function::Other(other),
        };
        Some(Self::TaskManagement {
            function,
            address: Address::decode(*lun),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(lun: [u8; 8], cdb: &[u8]) -> Vec<u8> {
        let mut header = lun.to_vec();
        header.extend([0xA5; 11]);
        header.extend(cdb);
        header.resize(REQUEST_BYTES, 0);
        header
    }

    #[test]
    fn reads_target_and_logical_unit() {
        let flat = Address::decode([1, 7, 0x41, 0x02, 0, 0, 0, 0]);
        assert_eq!(flat, Some(Address { target: 7, lun: 0x102 }));
        let peripheral = Address::decode([1, 0, 0x00, 0x03, 0, 0, 0, 0]);
        assert_eq!(peripheral, Some(Address { target: 0, lun: 3 }));
    }

    #[test]
    fn other_addressing_names_nobody() {
        for field in [
            [0, 0, 0x40, 0, 0, 0, 0, 0],
            [1, 0, 0xC1, 1, 0, 0, 0, 0],
            [1, 0, 0x01, 0, 0, 0, 0, 0],
            [1, 0, 0x80, 0, 0, 0, 0, 0],
            [1, 0, 0x40, 0, 0, 0, 0, 1],
        ] {
            assert_eq!(Address::decode(field), None, "{field:02X?}");
        }
    }

    #[test]
    fn cuts_the_cdb_to_the_length_of_its_group() {
        let lun = [1, 0, 0x40, 0, 0, 0, 0, 0];
        for (operation_code, length) in [
            (0x12, 6),
            (0x2B, 10),
            (0x4D, 10),
            (0x8C, 16),
            (0xA2, 12),
            (0x7F, 32),
            (0xC0, 32),
        ] {
            let request = Request::decode(&header(lun, &[operation_code, 0xEE])).unwrap();
            assert_eq!(request.cdb().len(), length, "{operation_code:02X}h");
            assert_eq!(request.cdb()[..2], [operation_code, 0xEE]);
            assert_eq!(request.tag, 0xA5A5_A5A5_A5A5_A5A5);
        }
    }

    #[test]
    fn refuses_every_truncation_of_a_header_and_ignores_what_follows_it() {
        let whole = header([1, 0, 0x40, 0, 0, 0, 0, 0], &[0x12]);
        for length in 0..REQUEST_BYTES {
            assert_eq!(Request::decode(&whole[..length]), None, "{length}");
        }
        let longer = [&whole[..], &[0xFF]].concat();
        assert_eq!(Request::decode(&longer), Request::decode(&whole));
    }

    #[test]
    fn lays_a_response_out_in_little_endian() {
        let sense = [0x70, 0, 5];
        let response = Response {
            outcome: Outcome::Ok,
            status: 2,
            residual: 0x0102_0304,
            sense: &sense,
        };
        let mut expected = [0; RESPONSE_BYTES];
        expected[..15].copy_from_slice(&[3, 0, 0, 0, 4, 3, 2, 1, 0, 0, 2, 0, 0x70, 0, 5]);
        assert_eq!(response.encode(), expected);
    }

    #[test]
    fn sense_longer_than_its_room_is_cut() {
        let sense = [0x72; 252];
        let response = Response {
            sense: &sense,
            ..Response::of(Outcome::Failure)
        };
        let bytes = response.encode();
        assert_eq!(bytes[..4], [96, 0, 0, 0]);
        assert_eq!(bytes[11], 9);
        assert_eq!(bytes[12..], [0x72; 96]);
    }

    #[test]
    fn reads_task_management_functions() {
        let request = |subtype: u8| {
            let mut bytes = vec![0, 0, 0, 0, subtype, 0, 0, 0, 1, 2, 0x40, 0, 0, 0, 0, 0];
            bytes.extend([0xA5; 8]);
            bytes
        };
        let address = Some(Address { target: 2, lun: 0 });
        for (subtype, function) in [
            (0, Function::AbortTask(0xA5A5_A5A5_A5A5_A5A5)),
            (1, Function::AbortTaskSet),
            (2, Function::Other(2)),
            (3, Function::AbortTaskSet),
            (5, Function::LogicalUnitReset),
        ] {
            let expected = Control::TaskManagement { function, address };
            assert_eq!(Control::decode(&request(subtype)), Some(expected));
        }
        for length in 0..CONTROL_BYTES_MAX {
            assert_eq!(Control::decode(&request(5)[..length]), None, "{length}");
        }
    }

    #[test]
    fn reads_notification_requests_and_names_unknown_types() {
        let subscribe = [2, 0, 0, 0, 1, 0, 0x40, 0, 0, 0, 0, 0, 0xFF, 0, 0, 0];
        let address = Some(Address { target: 0, lun: 0 });
        assert_eq!(Control::decode(&subscribe), Some(Control::Notification { address }));
        assert_eq!(Control::decode(&subscribe[..15]), None);
        assert_eq!(Control::decode(&[3, 0, 0, 0]), Some(Control::Unknown));
    }
}
