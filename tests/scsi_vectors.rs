//! Every page of the daemon's side against bytes that other hands made, on every truncation, and with trailing bytes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use serde_json::Value;
use tapekey::scsi::cdb;
use tapekey::scsi::element_status::{ElementStatus, Identifier};
use tapekey::scsi::inquiry::StandardInquiry;
use tapekey::scsi::log::{PartitionCounter, VolumeStatistics};
use tapekey::scsi::reader::DecodeError;
use tapekey::scsi::security_protocol::SupportedSecurityProtocols;
use tapekey::scsi::sense::{AdditionalSense, FieldPointer, Sense};
use tapekey::scsi::tde::capabilities::{ConfigurationPrevented, DataEncryptionCapabilities};
use tapekey::scsi::tde::key_formats::decode_key_formats;
use tapekey::scsi::tde::management::ManagementCapabilities;
use tapekey::scsi::tde::next_block::{BlockEncryption, NextBlockEncryptionStatus};
use tapekey::scsi::tde::set_data_encryption::{Decryption, EncryptPage, SetScope, encode_disable};
use tapekey::scsi::tde::status::{DataEncryptionStatus, ParametersControl};
use tapekey::scsi::tde::supported_pages::decode_supported_pages;
use tapekey::scsi::tde::{DecryptionMode, EncryptionMode, Scope};
use tapekey::secret::DataKey;

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Runs `check` on every vector of a kind; an empty or missing list fails.
fn for_each(kind: &str, check: impl Fn(&Value, Vec<u8>)) {
    let vectors: Value = serde_json::from_str(include_str!("vectors/scsi.json")).unwrap();
    let cases = vectors[kind].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let text = case["bytes"].as_str().unwrap().replace("K32", KEY).replace(' ', "");
        check(case, hex::decode(text).unwrap());
    }
}

/// Decodes, and shows that no truncation decodes and that trailing bytes change nothing.
fn decode_strictly<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
) -> T {
    for length in 0..bytes.len() {
        assert!(
            decode(&bytes[..length]).is_err(),
            "{length} of {} bytes were taken for a whole page",
            bytes.len()
        );
    }
    let decoded = decode(bytes).unwrap();
    assert_eq!(
        decode(&[bytes, &[0xA5; 9]].concat()).unwrap(),
        decoded,
        "trailing bytes changed the meaning"
    );
    decoded
}

fn number(case: &Value, field: &str) -> u64 {
    case[field].as_u64().unwrap_or_else(|| panic!("{field} of {case}"))
}

fn byte(case: &Value, field: &str) -> u8 {
    number(case, field).try_into().unwrap()
}

fn flag(case: &Value, field: &str) -> bool {
    case[field].as_bool().unwrap_or_else(|| panic!("{field} of {case}"))
}

fn hex_field(case: &Value, field: &str) -> Vec<u8> {
    hex::decode(case[field].as_str().unwrap()).unwrap()
}

#[test]
fn set_data_encryption_pages_are_those_of_other_clients() {
    for_each("set_data_encryption", |case, bytes| {
        let scope = if case["scope"] == "local" {
            SetScope::Local
        } else {
            SetScope::AllItNexus
        };
        let algorithm_index = byte(case, "algorithm_index");
        let key = DataKey::take_slice(&mut hex::decode(KEY).unwrap()).unwrap();
        let decryption = match number(case, "decryption_mode") {
            0 => {
                assert_eq!(encode_disable(scope, algorithm_index), bytes);
                return;
            }
            2 => Decryption::Decrypt,
            3 => Decryption::Mixed,
            other => panic!("decryption mode {other} is never sent"),
        };
        let page = EncryptPage {
            scope,
            clear_key_on_demount: flag(case, "clear_key_on_demount"),
            decryption,
            algorithm_index,
            key: &key,
            unauthenticated_kad: &hex_field(case, "u_kad"),
            authenticated_kad: &[],
        };
        assert_eq!(page.encode().as_slice(), bytes);
    });
}

#[test]
fn movements_are_those_that_mt_sends() {
    let captured: Value = serde_json::from_str(include_str!("vectors/clients/mt.json")).unwrap();
    for (command, made) in [("rewind", cdb::REWIND), ("fsf 1", cdb::SPACE_ONE_FILEMARK)] {
        let is_it = |run: &&Value| run["command"].as_str().is_some_and(|line| line.ends_with(command));
        let run = captured["clients"].as_array().unwrap().iter().find(is_it);
        let run = run.unwrap_or_else(|| panic!("mt {command} was not captured"));
        let sent = run["exchanges"].as_array().unwrap().last().unwrap()["cdb"].as_str();
        assert_eq!(sent, Some(hex::encode(made).as_str()), "{command}");
    }
}

#[test]
fn security_protocol_cdbs_are_those_of_other_clients() {
    for_each("cdbs", |case, bytes| {
        let (protocol, page) = (byte(case, "protocol"), number(case, "page").try_into().unwrap());
        let length = number(case, "length").try_into().unwrap();
        let made = match case["operation"].as_str().unwrap() {
            "in" => cdb::security_protocol_in(protocol, page, length),
            _ => cdb::security_protocol_out(protocol, page, length),
        };
        assert_eq!(made.as_slice(), bytes);
    });
}

#[test]
fn lists_of_protocols_pages_and_key_formats_are_read() {
    let numbers = |value: &Value| {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|code| code.as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    for_each("supported_protocols", |case, bytes| {
        let protocols = decode_strictly(&bytes, SupportedSecurityProtocols::decode);
        assert_eq!(
            protocols.0.iter().map(|code| u64::from(*code)).collect::<Vec<_>>(),
            numbers(&case["protocols"])
        );
    });
    for_each("supported_pages", |case, bytes| {
        let page = number(case, "page").try_into().unwrap();
        let codes = decode_strictly(&bytes, |reply| decode_supported_pages(page, reply));
        assert_eq!(
            codes.into_iter().map(u64::from).collect::<Vec<_>>(),
            numbers(&case["codes"])
        );
        assert!(matches!(
            decode_supported_pages(page ^ 1, &bytes),
            Err(DecodeError::WrongPage { .. })
        ));
    });
    for_each("key_formats", |case, bytes| {
        let formats = decode_strictly(&bytes, decode_key_formats);
        assert_eq!(
            formats.into_iter().map(u64::from).collect::<Vec<_>>(),
            numbers(&case["formats"])
        );
    });
}

#[test]
fn capabilities_are_read() {
    for_each("capabilities", |case, bytes| {
        let page = decode_strictly(&bytes, DataEncryptionCapabilities::decode);
        assert_eq!(page.configuration_prevented, ConfigurationPrevented::Allowed);
        let wanted = case["algorithms"].as_array().unwrap();
        assert_eq!(page.algorithms.len(), wanted.len());
        for (algorithm, wanted) in page.algorithms.iter().zip(wanted) {
            assert_eq!(algorithm.algorithm_index, byte(wanted, "index"));
            assert_eq!(algorithm.valid_for_mounted_volume, flag(wanted, "valid"));
            assert_eq!(algorithm.decrypt_capable, byte(wanted, "decrypt"));
            assert_eq!(algorithm.encrypt_capable, byte(wanted, "encrypt"));
            assert_eq!(algorithm.unauthenticated_kad_fixed_length, flag(wanted, "u_kad_fixed"));
            assert_eq!(
                u64::from(algorithm.unauthenticated_kad_bytes_max),
                number(wanted, "u_kad_max")
            );
            assert_eq!(
                u64::from(algorithm.authenticated_kad_bytes_max),
                number(wanted, "a_kad_max")
            );
            assert_eq!(u64::from(algorithm.key_size), number(wanted, "key_size"));
            assert_eq!(algorithm.raw_decryption_mode_control, byte(wanted, "rdmc"));
            assert_eq!(u64::from(algorithm.security_algorithm_code), number(wanted, "code"));
        }
    });
}

#[test]
fn capabilities_that_contradict_themselves_are_refused() {
    for_each("capabilities_that_contradict_themselves", |_, bytes| {
        assert!(matches!(
            DataEncryptionCapabilities::decode(&bytes),
            Err(DecodeError::Truncated { .. })
        ));
    });
}

#[test]
fn management_capabilities_are_read() {
    for_each("management", |case, bytes| {
        let page = decode_strictly(&bytes, ManagementCapabilities::decode);
        for (bit, name) in [
            (ManagementCapabilities::LOCK, "lock"),
            (ManagementCapabilities::CLEAR_KEY_ON_DEMOUNT, "ckod"),
            (ManagementCapabilities::CLEAR_KEY_ON_RESERVATION_PREEMPT, "ckorp"),
            (ManagementCapabilities::CLEAR_KEY_ON_RESERVATION_LOSS, "ckorl"),
            (ManagementCapabilities::ALL_IT_NEXUS, "all_it_nexus"),
            (ManagementCapabilities::LOCAL, "local"),
            (ManagementCapabilities::PUBLIC, "public"),
        ] {
            assert_eq!(page.contains(bit), flag(case, name), "{name}");
        }
    });
}

#[test]
fn the_status_page_is_read() {
    let scopes = [Scope::Public, Scope::Local, Scope::AllItNexus];
    for_each("status", |case, bytes| {
        let page = decode_strictly(&bytes, DataEncryptionStatus::decode);
        assert_eq!(page.it_nexus_scope, scopes[usize::from(byte(case, "it_nexus_scope"))]);
        assert_eq!(page.key_scope, scopes[usize::from(byte(case, "key_scope"))]);
        let on = number(case, "encryption_mode") == 2;
        assert_eq!(
            page.encryption_mode,
            if on {
                EncryptionMode::Encrypt
            } else {
                EncryptionMode::Disable
            }
        );
        assert_eq!(
            page.decryption_mode,
            if on {
                DecryptionMode::Decrypt
            } else {
                DecryptionMode::Disable
            }
        );
        assert_eq!(page.algorithm_index, byte(case, "algorithm_index"));
        assert_eq!(u64::from(page.key_instance_counter), number(case, "kic"));
        assert_eq!(page.parameters_control, ParametersControl::NotExclusive);
        assert_eq!(page.volume_contains_encrypted_blocks, flag(case, "vcelb"));
        assert_eq!(page.unauthenticated_kad(), hex_field(case, "u_kad"));
    });
}

#[test]
fn the_next_block_page_is_read() {
    for_each("next_block", |case, bytes| {
        let page = decode_strictly(&bytes, NextBlockEncryptionStatus::decode);
        assert_eq!(page.logical_object_number, number(case, "object"));
        let status = match number(case, "status") {
            3 => BlockEncryption::Plain,
            5 => BlockEncryption::Encrypted,
            _ => BlockEncryption::EncryptedKeyMissing,
        };
        assert_eq!(page.encryption, status);
        assert_eq!(page.algorithm_index, byte(case, "algorithm_index"));
        assert_eq!(page.unauthenticated_kad(), hex_field(case, "u_kad"));
    });
}

#[test]
fn sense_data_of_real_drives_are_read() {
    for_each("sense", |case, bytes| {
        let sense = Sense::decode(&bytes).unwrap();
        assert_eq!(sense.key as u8, byte(case, "key"));
        assert_eq!(
            sense.additional,
            AdditionalSense::new(byte(case, "asc"), byte(case, "ascq"))
        );
        assert_eq!(sense.deferred, flag(case, "deferred"));
        let field = &case["field"];
        let wanted = field.is_object().then(|| FieldPointer {
            in_cdb: flag(field, "in_cdb"),
            byte: number(field, "byte").try_into().unwrap(),
            bit: Some(byte(field, "bit")),
        });
        assert_eq!(sense.field, wanted);
    });
}

#[test]
fn inquiry_and_volume_statistics_of_real_drives_are_read() {
    for_each("inquiry", |case, bytes| {
        let inquiry = decode_strictly(&bytes, StandardInquiry::decode);
        assert_eq!(inquiry.device_type, byte(case, "device_type"));
        let text = |field: &str| case[field].as_str().unwrap().to_owned();
        assert_eq!(
            (inquiry.vendor, inquiry.product, inquiry.revision),
            (text("vendor"), text("product"), text("revision"))
        );
    });
    for_each("volume_statistics", |_, bytes| {
        let page = decode_strictly(&bytes, VolumeStatistics::decode);
        assert!(page.page_valid);
        assert_eq!(page.first_encrypted_object, PartitionCounter::None);
        assert_eq!(
            page.first_plain_object,
            PartitionCounter::Unknown,
            "the page has no such parameter"
        );
    });
}

#[test]
fn element_status_is_read_as_changers_send_it() {
    for_each("element_status", |case, bytes| {
        let status = ElementStatus::decode(&bytes, flag(case, "identifiers")).unwrap();
        assert_eq!(u64::from(status.available), number(case, "available"));
        let wanted = case["elements"].as_array().unwrap();
        assert_eq!(status.elements.len(), wanted.len());
        for (element, wanted) in status.elements.iter().zip(wanted) {
            let found = serde_json::json!({
                "type": element.element_type,
                "address": element.address,
                "full": element.full,
                "access": element.access,
                "by_operator": element.by_operator,
                "exception": element.exception,
                "medium_type": element.medium_type,
                "source": element.source,
                "tag": element.volume_tag,
                "serial": element.identifier.as_ref().and_then(Identifier::serial),
            });
            assert_eq!(found, *wanted);
        }
    });
}
