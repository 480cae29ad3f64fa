//! Names of the additional sense codes that an operator of an encrypting tape drive may meet (SPC-5, "ASC and ASCQ assignments").

use super::sense::AdditionalSense;

/// The standard's name in small letters, if this table has it.
pub(super) fn additional_sense_name(additional: AdditionalSense) -> Option<&'static str> {
    let code = u16::from_be_bytes([additional.asc, additional.ascq]);
    NAMES
        .binary_search_by_key(&code, |(code, _)| *code)
        .ok()
        .and_then(|index| NAMES.get(index))
        .map(|(_, name)| *name)
}

/// Sorted by code.
const NAMES: &[(u16, &str)] = &[
    (0x0001, "filemark detected"),
    (0x0002, "end of partition or medium detected"),
    (0x0004, "beginning of partition or medium detected"),
    (0x0005, "end of data detected"),
    (0x0017, "cleaning requested"),
    (0x0400, "not ready, cause not reportable"),
    (0x0401, "becoming ready"),
    (0x0402, "not ready, initializing command required"),
    (0x0403, "not ready, manual intervention required"),
    (0x0407, "not ready, operation in progress"),
    (0x0409, "not ready, self-test in progress"),
    (0x0410, "auxiliary memory not accessible"),
    (0x0412, "offline"),
    (0x0C00, "write error"),
    (0x1100, "unrecovered read error"),
    (0x1403, "end of data not found"),
    (0x1A00, "parameter list length error"),
    (0x2000, "invalid command operation code"),
    (0x2101, "invalid element address"),
    (0x2400, "invalid field in CDB"),
    (0x2500, "logical unit not supported"),
    (0x2600, "invalid field in parameter list"),
    (0x2605, "data decryption error"),
    (0x2610, "data decryption key fail limit reached"),
    (0x2611, "incomplete key-associated data set"),
    (0x2612, "vendor specific key reference not found"),
    (0x2700, "write protected"),
    (0x2701, "hardware write protected"),
    (0x2702, "logical unit software write protected"),
    (0x2703, "associated write protect"),
    (0x2704, "persistent write protect"),
    (0x2705, "permanent write protect"),
    (0x2800, "medium may have changed"),
    (0x2801, "import or export element accessed"),
    (0x2900, "power on, reset or bus device reset occurred"),
    (0x2901, "power on occurred"),
    (0x2902, "bus reset occurred"),
    (0x2903, "bus device reset function occurred"),
    (0x2904, "device internal reset"),
    (0x2907, "I_T nexus loss occurred"),
    (0x2A01, "mode parameters changed"),
    (0x2A02, "log parameters changed"),
    (0x2A03, "reservations preempted"),
    (0x2A04, "reservations released"),
    (0x2A05, "registrations preempted"),
    (0x2A0D, "data encryption capabilities changed"),
    (0x2A10, "timestamp changed"),
    (0x2A11, "data encryption parameters changed by another I_T nexus"),
    (0x2A12, "data encryption parameters changed by vendor specific event"),
    (0x2A13, "data encryption key instance counter has changed"),
    (0x2C00, "command sequence error"),
    (0x3000, "incompatible medium installed"),
    (0x3001, "cannot read medium, unknown format"),
    (0x3002, "cannot read medium, incompatible format"),
    (0x3003, "cleaning cartridge installed"),
    (0x3005, "cannot write medium, incompatible format"),
    (0x300C, "WORM medium, overwrite attempted"),
    (0x3A00, "medium not present"),
    (0x3A04, "medium not present, auxiliary memory accessible"),
    (0x4400, "internal target failure"),
    (0x5300, "media load or eject failed"),
    (0x5302, "medium removal prevented"),
    (0x5508, "maximum number of supplemental decryption keys exceeded"),
    (0x7400, "security error"),
    (0x7401, "unable to decrypt data"),
    (0x7402, "unencrypted data encountered while decrypting"),
    (0x7403, "incorrect data encryption key"),
    (0x7404, "cryptographic integrity validation failed"),
    (0x7405, "error decrypting data"),
    (0x7406, "unknown signature verification key"),
    (0x7407, "encryption parameters not useable"),
    (0x7408, "digital signature validation failure"),
    (0x7409, "encryption mode mismatch on read"),
    (0x740A, "encrypted block not raw read enabled"),
    (0x740B, "incorrect encryption parameters"),
    (0x740C, "unable to decrypt parameter list"),
    (0x740D, "encryption algorithm disabled"),
    (0x7421, "data encryption configuration prevented"),
    (0x7461, "external data encryption key manager access error"),
    (0x7462, "external data encryption key manager error"),
    (0x7463, "external data encryption key not found"),
    (0x7464, "external data encryption request not authorized"),
    (0x746E, "external data encryption control timeout"),
    (0x746F, "external data encryption control error"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_every_name_is_found() {
        assert!(NAMES.is_sorted_by(|(a, _), (b, _)| a < b));
        assert_eq!(
            additional_sense_name(AdditionalSense::new(0x74, 0x03)),
            Some("incorrect data encryption key")
        );
        assert_eq!(additional_sense_name(AdditionalSense::new(0xEF, 0x10)), None);
    }
}
