//! DT Device Status log page (11h): what a library's controller would like to know at a glance (SSC-4, ADC-3, "very high frequency data").

use super::{Format, Parameter};
use crate::drive::{Drive, medium::Seat};

/// What very high frequency data says, in bits of its four bytes.
mod bit {
    pub(super) const REMOVAL_PREVENTED: u8 = 0x80;
    pub(super) const HOST_MAY_UNLOAD: u8 = 0x40;
    pub(super) const MEMORY_ACCESSIBLE: u8 = 0x20;
    pub(super) const COMPRESSION: u8 = 0x10;
    pub(super) const WRITE_PROTECTED: u8 = 0x08;
    pub(super) const VALID: u8 = 0x01;
    pub(super) const IN_TRANSITION: u8 = 0x80;
    pub(super) const ROBOT_MAY_ACCESS: u8 = 0x20;
    pub(super) const PRESENT: u8 = 0x10;
    pub(super) const SEATED: u8 = 0x04;
    pub(super) const THREADED: u8 = 0x02;
    pub(super) const MOUNTED: u8 = 0x01;
    pub(super) const ENCRYPTION_PARAMETERS_PRESENT: u8 = 0x10;
    pub(super) const ENCRYPTION_SERVICE_REQUEST: u8 = 0x08;
}

impl Drive {
    /// Very high frequency data, polling delay, and the two fields about keys from outside, which say nothing here.
    pub(super) fn device_status(&self) -> Vec<Parameter> {
        const POLLING_DELAY_MS: u64 = 500;
        let list = |code, value| Parameter {
            code,
            format: Format::BinaryList,
            value,
        };
        vec![
            list(0x0000, self.very_high_frequency_data().to_vec()),
            Parameter::number(0x0001, Format::BinaryList, POLLING_DELAY_MS, 2),
            list(0x0002, vec![0; 8]),
            list(0x0003, vec![0; 12]),
        ]
    }

    fn very_high_frequency_data(&self) -> [u8; 4] {
        let flags = |pairs: &[(bool, u8)]| {
            pairs
                .iter()
                .filter(|(set, _)| *set)
                .fold(0, |byte, (_, bit)| byte | bit)
        };
        let prevented = self.prevents_removal();
        let cartridge = self.medium.threaded().ok();
        let protected = self.mode.software_write_protect || cartridge.is_some_and(crate::Cartridge::write_protected);
        let seat = self.medium.seat();
        let (seated, threaded) = (seat != Seat::Out, seat == Seat::Threaded);
        [
            flags(&[
                (prevented, bit::REMOVAL_PREVENTED),
                (!prevented, bit::HOST_MAY_UNLOAD),
                (self.medium.memory().is_ok(), bit::MEMORY_ACCESSIBLE),
                (self.mode.data_compression(), bit::COMPRESSION),
                (protected, bit::WRITE_PROTECTED),
                (true, bit::VALID),
            ]),
            flags(&[
                (seat == Seat::Loading, bit::IN_TRANSITION),
                (!seated, bit::ROBOT_MAY_ACCESS),
                (self.medium.is_present(), bit::PRESENT),
                (seated, bit::SEATED),
                (threaded, bit::THREADED),
                (threaded, bit::MOUNTED),
            ]),
            self.time.activity(),
            flags(&[
                (self.holds_parameters(), bit::ENCRYPTION_PARAMETERS_PRESENT),
                (self.quirks.external_key_required, bit::ENCRYPTION_SERVICE_REQUEST),
            ]),
        ]
    }

    /// Whether any nexus has encryption parameters in force.
    fn holds_parameters(&self) -> bool {
        self.encryption.shared().is_some() || self.nexuses.all().any(|nexus| nexus.local.is_some())
    }
}
