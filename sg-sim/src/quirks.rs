//! Switches that hold until they are changed: what sources about real drives disagree on, and how a drive may be set up.
//!
//! The default is the strict reading for an IBM LTO-8 drive. Every leniency and every deviation has a name here.

use crate::SenseCode;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Unexpected},
};

/// Who owns data encryption.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LibraryManaged {
    /// The host may set encryption parameters.
    #[default]
    Off,
    /// The library owns encryption and protocol 20h is hidden: the protocol list holds 00h alone, SPIN and SPOUT of 20h end with 05/24/00.
    ProtocolHidden,
    /// The library owns encryption and says so: CFG_P 2, PARAMETERS CONTROL 3, SPOUT ends with 05/24/00.
    ConfigurationPrevented,
}

/// What Next Block Encryption Status says on a blank tape.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlankAnswer {
    /// ENCRYPTION STATUS 1h: not known now.
    #[default]
    NotNow,
    /// CHECK CONDITION 08/14/03, end of data not found (seen on HP LTO-4).
    EndOfDataNotFound,
}

/// What Next Block Encryption Status says without a volume.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmptyAnswer {
    /// CHECK CONDITION 02/3A/00 (IBM, HP).
    #[default]
    MediumNotPresent,
    /// GOOD with a page of zeros (Quantum LTO-4).
    Zeros,
}

/// What Next Block Encryption Status says at the end of data of a tape that is not blank.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndOfDataAnswer {
    /// ENCRYPTION STATUS 1h: not known now (Quantum; T10000's text).
    #[default]
    NotNow,
    /// ENCRYPTION STATUS 2h: not a block (T10000's table).
    NotABlock,
    /// CHECK CONDITION 08/00/05.
    EndOfDataDetected,
}

/// Who owns encryption when the host does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutsideOwner {
    /// The library: PARAMETERS CONTROL 3.
    #[default]
    Library,
    /// A management interface: PARAMETERS CONTROL 4 (HP LTO-5).
    Management,
}

/// Switches of one drive.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch with its own name"
)]
pub struct Quirks {
    /// Who owns data encryption. Taking it away from the host drops every set (2Ah/12h).
    pub library_managed: LibraryManaged,
    /// Which kind of owner `library-managed` stands for.
    pub outside_owner: OutsideOwner,
    /// CFG_P is 0, not reported, whoever owns encryption.
    pub configuration_prevented_unreported: bool,
    /// Sense of a SPOUT while somebody else owns encryption (05/24/00 on T10000; 05/74/21 is its own code).
    pub configuration_prevented: SenseCode,
    /// Every SPOUT ends with this sense.
    pub refuse_security_protocol_out: Option<SenseCode>,
    /// Every WRITE of a block ends with 07/EF/10, key required, as on IBM drives whose library should have given a key.
    pub external_key_required: bool,
    /// A nexus seen for the first time is told 29h/00h, and 28h/00h if a cartridge was loaded since power on.
    pub first_seen_unit_attention: bool,
    /// Next Block Encryption Status at the beginning of a freshly loaded tape is 1h until the tape has been read or moved.
    pub next_block_unknown_after_load: bool,
    /// Next Block Encryption Status of a filemark is 1h instead of 2h (seen on IBM ULT3580-HH8).
    pub next_block_unknown_at_filemark: bool,
    /// Next Block Encryption Status on a blank tape.
    pub next_block_on_blank: BlankAnswer,
    /// Next Block Encryption Status at the end of data.
    pub next_block_at_end_of_data: EndOfDataAnswer,
    /// Next Block Encryption Status without a volume.
    pub next_block_without_volume: EmptyAnswer,
    /// Next Block Encryption Status of an encrypted block is 5h instead of 6h while decryption is DISABLE.
    pub next_block_supported_without_key: bool,
    /// KADs are stored padded to their maximum length with this byte.
    pub kad_padding: Option<u8>,
    /// AUTHENTICATED of a U-KAD in status pages: 1 (IBM), 2 (Quantum) or 0.
    #[serde(deserialize_with = "authenticated")]
    pub u_kad_authenticated: u8,
    /// A READ that meets another KAD than the READ before ends with this sense once, the tape as it was (07/74/05 on HP LTO-4).
    pub key_associated_data_changed: Option<SenseCode>,
    /// CKOD with DECRYPTION MODE MIXED is refused (seen on an LTO-6 drive).
    pub refuses_clear_on_demount_with_mixed: bool,
    /// A WRITE that would put plain and encrypted blocks on one volume ends with this sense (IBM under library control).
    pub mixing_refused: Option<SenseCode>,
    /// A set without CKOD, too, is dropped when the volume is demounted.
    pub demount_drops_every_key: bool,
    /// A nexus with LOCK whose set went by CKOD gets 07/2A/13 on write; otherwise the demount ends its LOCK.
    pub demount_trips_lock: bool,
    /// LOCK is looked at on READ too, not on WRITE alone.
    pub lock_guards_reads: bool,
    /// There is one place for a key: setting one drops the set of any other nexus (2Ah/11h).
    pub single_key_slot: bool,
    /// Every nexus is told of changed parameters, not only one that has used protocol 20h since its last reset.
    pub every_nexus_is_registered: bool,
    /// Sense by which every nexus is told of a LOGICAL UNIT RESET. SAM-5 gives it 29h/03h, as Linux' target core does; a drive that makes no
    /// difference says 29h/02h, SCSI bus reset, or 29h/00h.
    pub reset_unit_attention: SenseCode,
    /// A reset leaves sets and scopes as they are; LOCK goes all the same.
    pub reset_keeps_keys: bool,
    /// Loss of a nexus leaves its LOCAL set and scope as they are; LOCK goes all the same.
    pub nexus_loss_keeps_keys: bool,
    /// A KAD sent with ENCRYPTION MODE DISABLE is ignored instead of refused.
    pub ignores_kad_without_encryption: bool,
    /// Number of wrong keys after which no further key is taken (07/26/10), until unload or power cycle.
    pub wrong_key_limit: Option<u32>,
    /// Sense of a SPOUT with a key beyond that number.
    pub wrong_key_limit_reached: SenseCode,
    /// A READ that ends with DATA PROTECT leaves the tape behind the block instead of before it.
    pub passes_refused_blocks: bool,
    /// Sense of a READ that CEEM forbids.
    pub encryption_mode_mismatch: SenseCode,
    /// Sense of a READ in RAW mode that meets a block marked raw-disabled.
    pub raw_read_refused: SenseCode,
    /// Sense of a plain WRITE that VCELBRE forbids; the standards' text is not public, so this is a choice.
    pub plain_write_refused: SenseCode,
    /// Sense of a READ of a block whose key fits and whose tag does not.
    pub integrity_failure: SenseCode,
    /// VCELBRE in mode page 10h/01h can be changed by MODE SELECT.
    pub vcelbre_changeable: bool,
    /// Reserved bits in CDBs and in the Set Data Encryption page are ignored instead of refused.
    pub ignores_reserved_bits: bool,
    /// Partition records of log page 17h have 8-byte counters with 48 ones for "none" (HP), instead of 6-byte ones.
    pub wide_partition_records: bool,
    /// SPIN claims to have returned the whole allocation length, padded with zeros (seen on Quantum ULTRIUM-HH7).
    pub fills_allocation_length: bool,
}

/// AUTHENTICATED of a U-KAD as a file may have it: one of the values that drives are known to report.
fn authenticated<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let value = u8::deserialize(deserializer)?;
    if value > 2 {
        let given = Unexpected::Unsigned(value.into());
        return Err(D::Error::invalid_value(given, &"0, 1 or 2"));
    }
    Ok(value)
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            library_managed: LibraryManaged::Off,
            outside_owner: OutsideOwner::Library,
            configuration_prevented_unreported: false,
            configuration_prevented: SenseCode::new(0x5, 0x24, 0x00),
            refuse_security_protocol_out: None,
            external_key_required: false,
            first_seen_unit_attention: true,
            next_block_unknown_after_load: false,
            next_block_unknown_at_filemark: false,
            next_block_on_blank: BlankAnswer::NotNow,
            next_block_at_end_of_data: EndOfDataAnswer::NotNow,
            next_block_without_volume: EmptyAnswer::MediumNotPresent,
            next_block_supported_without_key: false,
            kad_padding: None,
            u_kad_authenticated: 1,
            key_associated_data_changed: None,
            refuses_clear_on_demount_with_mixed: false,
            mixing_refused: None,
            demount_drops_every_key: false,
            demount_trips_lock: true,
            lock_guards_reads: false,
            single_key_slot: false,
            every_nexus_is_registered: false,
            reset_unit_attention: SenseCode::new(0x6, 0x29, 0x03),
            reset_keeps_keys: false,
            nexus_loss_keeps_keys: false,
            ignores_kad_without_encryption: false,
            wrong_key_limit: Some(10),
            wrong_key_limit_reached: SenseCode::new(0x7, 0x26, 0x10),
            passes_refused_blocks: false,
            encryption_mode_mismatch: SenseCode::new(0x7, 0x74, 0x09),
            raw_read_refused: SenseCode::new(0x7, 0x74, 0x0A),
            plain_write_refused: SenseCode::new(0x7, 0x74, 0x0B),
            integrity_failure: SenseCode::new(0x7, 0x74, 0x04),
            vcelbre_changeable: true,
            ignores_reserved_bits: false,
            wide_partition_records: false,
            fills_allocation_length: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_switches_by_name_and_refuses_unknown_ones() {
        let quirks: Quirks =
            toml::from_str("library-managed = \"protocol-hidden\"\nrefuse-security-protocol-out = \"05/74/21\"")
                .unwrap();
        assert_eq!(quirks.library_managed, LibraryManaged::ProtocolHidden);
        assert_eq!(
            quirks.refuse_security_protocol_out,
            Some(SenseCode::new(0x5, 0x74, 0x21))
        );
        for refused in [
            "library-manged = \"off\"",
            "u-kad-authenticated = 3",
            "kad-padding = 256",
        ] {
            assert!(toml::from_str::<Quirks>(refused).is_err(), "{refused}");
        }
    }
}
