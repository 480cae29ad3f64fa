//! Tests of the Set Data Encryption page: each rule with the byte and bit that the refusal points at.

use super::*;
use crate::{Profile, SenseCode};

fn rules(capabilities: &EncryptionProfile) -> Rules<'_> {
    Rules {
        capabilities,
        mounted: true,
        reserved: false,
        refuses_clear_on_demount_with_mixed: false,
        ignores_reserved_bits: false,
        ignores_kad_without_encryption: false,
    }
}

/// ENCRYPT, DECRYPT, ALL I_T NEXUS, CEEM 1, a key, U-KAD "name".
fn page() -> Vec<u8> {
    let mut page = vec![
        0x00, 0x10, 0x00, 0x38, 0x40, 0x40, 0x02, 0x02, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x20,
    ];
    page.extend_from_slice(&[0x11; 32]);
    page.extend_from_slice(b"\0\0\0\x04name");
    page
}

fn decode(list: &[u8]) -> Result<SetDataEncryption, Sense> {
    SetDataEncryption::decode(list, &rules(&Profile::ibm_lto8().encryption))
}

/// The page with some bytes changed.
fn with(changes: &[(usize, u8)]) -> Result<SetDataEncryption, Sense> {
    let mut page = page();
    for (at, value) in changes {
        page[*at] = *value;
    }
    decode(&page)
}

#[track_caller]
fn assert_refused(result: Result<SetDataEncryption, Sense>, byte: u16, bit: u8) {
    assert_eq!(result.err(), Some(Sense::invalid_parameter_field(byte, bit)));
}

#[test]
fn takes_a_page_apart() {
    let page = decode(&page()).ok().unwrap();
    assert!(page.scope == Scope::AllItNexus && !page.lock && page.ceem == 1 && !page.raw_enabled);
    assert!(page.encryption_mode == EncryptionMode::Encrypt && page.decryption_mode == DecryptionMode::Decrypt);
    assert_eq!(page.key.as_deref(), Some(&[0x11; 32]));
    assert_eq!(
        page.kads,
        [Kad {
            kind: 0,
            data: b"name".to_vec()
        }]
    );
}

#[test]
fn refuses_every_truncation_and_trailing_bytes() {
    let mut page = page();
    for length in 0..page.len() {
        let sense = decode(&page[..length]).err().unwrap();
        let expected = if length < 20 {
            SenseCode::new(5, 0x1A, 0)
        } else {
            SenseCode::new(5, 0x26, 0)
        };
        assert_eq!(sense.code(), expected, "{length}");
    }
    page.push(0);
    assert_refused(decode(&page), 2, 7);
    page[3] += 1;
    assert_refused(decode(&page), 60, 7);
}

#[test]
fn refuses_another_page_code_and_a_scope_that_does_not_exist() {
    assert_refused(with(&[(1, 0x11)]), 0, 7);
    assert_refused(with(&[(4, 0x60)]), 4, 7);
    assert_refused(with(&[(4, 0x48)]), 4, 3);
}

#[test]
fn refuses_modes_that_the_drive_does_not_have() {
    assert_refused(with(&[(6, 1)]), 6, 7);
    assert_refused(with(&[(6, 3)]), 6, 7);
    assert_refused(with(&[(7, 4)]), 7, 7);
}

#[test]
fn refuses_raw_where_it_is_never_possible() {
    let mut capabilities = Profile::ibm_lto8().encryption;
    let mut page = page();
    page[7] = 1;
    assert!(SetDataEncryption::decode(&page, &rules(&capabilities)).is_ok());
    for control in [1, 6] {
        capabilities.raw_decryption_mode_control = control;
        assert_refused(SetDataEncryption::decode(&page, &rules(&capabilities)), 7, 7);
    }
}

#[test]
fn refuses_a_check_of_the_external_mode_without_decryption() {
    for ceem in [0x80, 0xC0] {
        assert_refused(with(&[(5, ceem), (7, 0)]), 5, 7);
        assert!(with(&[(5, ceem)]).is_ok());
    }
}

#[test]
fn refuses_raw_marks_that_are_reserved_or_cannot_be_changed() {
    assert_refused(with(&[(5, 0x50)]), 5, 5);
    assert!(with(&[(5, 0x60)]).is_ok_and(|page| page.raw_enabled));
    assert!(with(&[(5, 0x70)]).is_ok_and(|page| !page.raw_enabled));
    let mut capabilities = Profile::ibm_lto8().encryption;
    for control in [1, 6, 7] {
        capabilities.raw_decryption_mode_control = control;
        let mut page = page();
        page[5] = 0x60;
        assert_refused(SetDataEncryption::decode(&page, &rules(&capabilities)), 5, 5);
    }
}

#[test]
fn refuses_supplemental_keys_and_reservations() {
    assert_refused(with(&[(5, 0x48)]), 5, 3);
    assert_refused(with(&[(5, 0x42)]), 5, 1);
    assert_refused(with(&[(5, 0x41)]), 5, 0);
}

#[test]
fn takes_a_key_to_be_cleared_with_a_reservation_that_there_is() {
    let capabilities = Profile::ibm_lto8().encryption;
    let reserved = Rules {
        reserved: true,
        ..rules(&capabilities)
    };
    let mut page = page();
    page[5] = 0x41;
    assert!(SetDataEncryption::decode(&page, &reserved).is_ok_and(|page| page.clear_key_on_reservation_loss));
    page[5] = 0x42;
    assert_refused(SetDataEncryption::decode(&page, &reserved), 5, 1);
}

#[test]
fn refuses_to_clear_on_demount_together_with_mixed_only_when_told_to() {
    let capabilities = Profile::ibm_lto8().encryption;
    let strict = Rules {
        refuses_clear_on_demount_with_mixed: true,
        ..rules(&capabilities)
    };
    let mut page = page();
    (page[5], page[7]) = (0x44, 3);
    assert!(decode(&page).is_ok());
    assert_refused(SetDataEncryption::decode(&page, &strict), 5, 2);
    page[7] = 2;
    assert!(SetDataEncryption::decode(&page, &strict).is_ok());
}

#[test]
fn wants_refuses_or_takes_a_name_for_decryption_as_the_capability_says() {
    let judged = |decryption_kad: u8, encryption_mode: u8, with_name: bool| {
        let capabilities = EncryptionProfile {
            decryption_kad,
            ..Profile::ibm_lto8().encryption
        };
        let mut page = page();
        page[6] = encryption_mode;
        if !with_name {
            page.truncate(52);
            page[3] = 0x30;
        }
        SetDataEncryption::decode(&page, &rules(&capabilities))
            .map(|page| page.kads.len())
            .map_err(|sense| sense.code())
    };
    let (incomplete, refused) = (SenseCode::new(5, 0x26, 0x11), SenseCode::new(5, 0x26, 0));
    assert_eq!((judged(1, 0, true), judged(1, 0, false)), (Ok(1), Err(incomplete)));
    assert_eq!((judged(2, 2, true), judged(2, 2, false)), (Err(refused), Ok(0)));
    assert_eq!((judged(3, 0, true), judged(3, 0, false)), (Ok(1), Ok(0)));
    assert_eq!((judged(0, 0, true), judged(0, 2, true)), (Err(refused), Ok(1)));
}

#[test]
fn refuses_to_clear_on_demount_what_is_not_mounted() {
    assert!(with(&[(5, 0x44)]).is_ok_and(|page| page.clear_key_on_demount));
    let capabilities = Profile::ibm_lto8().encryption;
    let mut page = page();
    page[5] = 0x44;
    let empty = Rules {
        mounted: false,
        ..rules(&capabilities)
    };
    assert_refused(SetDataEncryption::decode(&page, &empty), 5, 2);
}

#[test]
fn refuses_unknown_index_formats_and_reserved_bytes() {
    assert_refused(with(&[(8, 0)]), 8, 7);
    assert_refused(with(&[(9, 1)]), 9, 7);
    assert_refused(with(&[(10, 1)]), 10, 7);
    for byte in 11..18 {
        assert_refused(with(&[(byte, 0x10)]), u16::try_from(byte).unwrap(), 4);
    }
}

#[test]
fn takes_kad_formats_where_the_drive_has_them() {
    let capabilities = EncryptionProfile {
        kad_format_capable: true,
        ..Profile::ibm_lto8().encryption
    };
    let mut page = page();
    page[10] = 2;
    assert!(SetDataEncryption::decode(&page, &rules(&capabilities)).is_ok_and(|page| page.kad_format == 2));
    page[10] = 3;
    assert_refused(SetDataEncryption::decode(&page, &rules(&capabilities)), 10, 7);
}

#[test]
fn refuses_key_lengths_other_than_the_algorithms() {
    assert_refused(with(&[(19, 0x10)]), 18, 7);
    assert_refused(with(&[(18, 0x01)]), 18, 7);
    let without_key = [
        0x00, 0x10, 0x00, 0x10, 0x40, 0x40, 0x02, 0x02, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_refused(decode(&without_key), 18, 7);
    let key_cut_off = [
        0x00, 0x10, 0x00, 0x10, 0x40, 0x40, 0x02, 0x02, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20,
    ];
    assert_refused(decode(&key_cut_off), 18, 7);
}

#[test]
fn clears_with_no_key_and_with_a_key_that_it_ignores() {
    let mut clear = vec![
        0x00, 0x10, 0x00, 0x10, 0x40, 0x40, 0x00, 0x00, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert!(decode(&clear).is_ok_and(|page| page.key.is_none()));
    (clear[3], clear[19]) = (0x30, 0x20);
    clear.extend_from_slice(&[0; 32]);
    assert!(decode(&clear).is_ok_and(|page| page.key.is_none()));
}

#[test]
fn refuses_a_name_for_blocks_that_will_not_be_encrypted() {
    assert_refused(with(&[(6, 0)]), 52, 7);
    let capabilities = Profile::ibm_lto8().encryption;
    let mut page = page();
    page[6] = 0;
    let lenient = Rules {
        ignores_kad_without_encryption: true,
        ..rules(&capabilities)
    };
    assert!(SetDataEncryption::decode(&page, &lenient).is_ok_and(|page| page.kads.is_empty()));
}

#[test]
fn looks_at_scope_and_lock_alone_when_the_scope_is_public() {
    let mut public = vec![0xFF; 20];
    public[..5].copy_from_slice(&[0x00, 0x10, 0x00, 0x10, 0x01]);
    assert!(decode(&public).is_ok_and(|page| page.scope == Scope::Public && page.lock));
}

#[test]
fn ignores_reserved_bits_only_when_told_to() {
    let capabilities = Profile::ibm_lto8().encryption;
    let mut page = page();
    (page[4], page[11], page[53]) = (0x5E, 0xFF, 0x80);
    assert_refused(decode(&page), 4, 4);
    let lenient = Rules {
        ignores_reserved_bits: true,
        ..rules(&capabilities)
    };
    assert!(SetDataEncryption::decode(&page, &lenient).is_ok());
}

#[test]
fn the_algorithm_index_counts_only_where_an_algorithm_is_meant() {
    let mut off = vec![
        0x00, 0x10, 0x00, 0x30, 0x40, 0x00, 0x00, 0x00, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x20,
    ];
    off.extend_from_slice(&[0; 32]);
    let cleared = decode(&off).ok().unwrap();
    assert!(cleared.key.is_none() && cleared.encryption_mode == EncryptionMode::Disable);
    assert_refused(with(&[(8, 0)]), 8, 7);
    assert_refused(with(&[(6, 0), (8, 0)]), 8, 7);
}
