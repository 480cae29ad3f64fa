//! What the changer says: INQUIRY, MODE SENSE and READ ELEMENT STATUS, byte for byte, as mtx, sg_inq and others ask for it.

mod library_support;

use library_support::{CHANGER, SMALL, Stand, descriptors};
use sg_sim::{Event, ItNexus, Place, Status, UnitKind, Units};

/// What mtx sends before anything else, for the small library.
const MTX_STORAGE: [u8; 12] = [0xB8, 0x12, 0x03, 0xE8, 0x00, 0x04, 0, 0, 0x04, 0x6C, 0, 0];
const MTX_DRIVES: [u8; 12] = [0xB8, 0x14, 0x01, 0xF4, 0x00, 0x02, 0, 0, 0x04, 0x6C, 0, 0];
const MTX_STATION: [u8; 12] = [0xB8, 0x13, 0x00, 0x0A, 0x00, 0x02, 0, 0, 0x04, 0x6C, 0, 0];
const MTX_TRANSPORT: [u8; 12] = [0xB8, 0x11, 0x00, 0x01, 0x00, 0x01, 0, 0, 0x04, 0x6C, 0, 0];

#[test]
fn is_two_drives_and_a_changer_behind_them() {
    let stand = Stand::small();
    let kinds = stand.library.kinds();
    assert_eq!(kinds, [UnitKind::Drive, UnitKind::Drive, UnitKind::Changer]);
    for (unit, device_type) in [(0, 0x01), (1, 0x01), (2, 0x08)] {
        let data = stand
            .exchange(&stand.nexus, unit, &[0x12, 0, 0, 0, 36, 0], &[], 36)
            .good();
        assert_eq!(data[0], device_type);
    }
    assert_eq!(stand.send(3, &[0; 6]).sense_code(), (5, 0x25, 0));
}

#[test]
fn describes_itself_as_a_removable_medium_changer() {
    let stand = Stand::small();
    let data = stand.ask(&[0x12, 0, 0, 0, 0x38, 0]).good();
    assert_eq!(data.len(), 56);
    assert_eq!(data[..8], [0x08, 0x80, 0x05, 0x02, 0x5B, 0, 0, 0x02]);
    assert_eq!(&data[8..36], b"HP      MSL G3 Series   E.00");
    assert_eq!(stand.ask(&[0x12, 0, 0, 0, 0xFF, 0]).good().len(), 96);
}

#[test]
fn tells_its_serial_number_on_both_identification_pages() {
    let stand = Stand::small();
    let list = stand.ask(&[0x12, 1, 0x00, 0, 0xFF, 0]).good();
    assert_eq!(list, [0x08, 0x00, 0, 3, 0x00, 0x80, 0x83]);
    let serial = stand.ask(&[0x12, 1, 0x80, 0, 0xFF, 0]).good();
    assert_eq!(serial, b"\x08\x80\x00\x0ASGSIMLIB01");
    let identification = stand.ask(&[0x12, 1, 0x83, 0, 0xFF, 0]).good();
    assert_eq!(
        identification,
        b"\x08\x83\x00\x26\x02\x01\x00\x22HP      MSL G3 Series   SGSIMLIB01"
    );
    assert_eq!(stand.ask(&[0x12, 1, 0xB0, 0, 0xFF, 0]).sense_code(), (5, 0x24, 0));
    assert_eq!(stand.ask(&[0x12, 0, 0x80, 0, 0xFF, 0]).sense_code(), (5, 0x24, 0));
}

#[test]
fn says_in_mode_page_1d_where_the_elements_are() {
    let stand = Stand::small();
    let page = [
        0x1D, 0x12, 0x00, 0x01, 0x00, 0x01, 0x03, 0xE8, 0x00, 0x04, 0x00, 0x0A, 0x00, 0x02, 0x01, 0xF4, 0x00, 0x02,
        0x00, 0x00,
    ];
    let six = stand.ask(&[0x1A, 0x08, 0x1D, 0, 0x88, 0]).good();
    assert_eq!(six[..4], [23, 0, 0, 0]);
    assert_eq!(six[4..], page);
    let ten = stand.ask(&[0x5A, 0x08, 0x1D, 0, 0, 0, 0, 0, 0xFF, 0]).good();
    assert_eq!(ten[..8], [0, 26, 0, 0, 0, 0, 0, 0]);
    assert_eq!(ten[8..], page);
    // As the Linux changer driver asks: with block descriptors, of which there are none.
    assert_eq!(stand.ask(&[0x1A, 0, 0x1D, 0, 0xFF, 0]).good(), six);
}

#[test]
fn says_in_mode_pages_1e_and_1f_what_the_robot_can_do() {
    let stand = Stand::small();
    let geometry = stand.ask(&[0x1A, 0x08, 0x1E, 0, 0xFF, 0]).good();
    assert_eq!(geometry, [7, 0, 0, 0, 0x1E, 2, 0, 0]);
    let capabilities = stand.ask(&[0x1A, 0x08, 0x1F, 0, 0xFF, 0]).good();
    assert_eq!(capabilities[..6], [23, 0, 0, 0, 0x1F, 0x12]);
    assert_eq!(capabilities[6..12], [0x0E, 0, 0, 0x0E, 0x0E, 0x0E]);
    assert_eq!(capabilities[12..20], [0, 0, 0, 0, 0, 0x0E, 0x0E, 0x0E]);
    let all = stand.ask(&[0x1A, 0x08, 0x3F, 0, 0xFF, 0]).good();
    assert_eq!((all.len(), all[0]), (48, 47));
    // Nothing can be changed.
    let changeable = stand.ask(&[0x1A, 0x08, 0x5F, 0, 0xFF, 0]).good();
    assert_eq!((&changeable[4..6], &changeable[6..]), (&[0x1F, 0x12][..], &[0; 18][..]));
}

#[test]
fn refuses_mode_pages_that_it_does_not_have() {
    let stand = Stand::small();
    for (cdb, sense) in [
        ([0x1A, 8, 0x0A, 0, 0xFF, 0], (5, 0x24, 0)),
        ([0x1A, 8, 0x1D, 1, 0xFF, 0], (5, 0x24, 0)),
        ([0x1A, 8, 0xDD, 0, 0xFF, 0], (5, 0x39, 0)),
    ] {
        assert_eq!(stand.ask(&cdb).sense_code(), sense, "{cdb:02X?}");
    }
}

#[test]
fn shows_slots_with_barcodes_as_mtx_asks_for_them() {
    let stand = Stand::small();
    let status = stand.ask(&MTX_STORAGE).good();
    assert_eq!(status[..8], [0x03, 0xE8, 0x00, 0x04, 0x00, 0x00, 0x00, 0xD8]);
    assert_eq!(status[8..16], [0x02, 0x80, 0x00, 0x34, 0x00, 0x00, 0x00, 0xD0]);
    assert_eq!(status.len(), 8 + 8 + 4 * 52);
    let full = &status[16..68];
    assert_eq!(full[..12], [0x03, 0xE8, 0x09, 0, 0, 0, 0, 0, 0, 0x01, 0, 0]);
    assert_eq!(&full[12..44], b"A00001L8                        ");
    assert_eq!(full[44..], [0; 8]);
    let empty = &status[120..172];
    assert_eq!(empty[..3], [0x03, 0xEA, 0x08]);
    assert_eq!(empty[3..], [0; 49]);
    let cleaning = &status[172..];
    assert_eq!((cleaning[2], cleaning[9]), (0x09, 0x02));
}

#[test]
fn shows_drives_station_and_transport_as_mtx_asks_for_them() {
    let stand = Stand::small();
    stand.carry(0x03E8, 0x01F4).good();
    let drives = stand.ask(&MTX_DRIVES).good();
    assert_eq!(
        drives[..16],
        [0x01, 0xF4, 0, 2, 0, 0, 0, 0x70, 0x04, 0x80, 0, 0x34, 0, 0, 0, 0x68]
    );
    // Full and, the tape being threaded, out of the robot's reach; it came from slot 1.
    assert_eq!(drives[16..28], [0x01, 0xF4, 0x01, 0, 0, 0, 0, 0, 0, 0x81, 0x03, 0xE8]);
    assert_eq!(&drives[28..36], b"A00001L8");
    assert_eq!(drives[68..71], [0x01, 0xF5, 0x08]);
    let station = stand.ask(&MTX_STATION).good();
    assert_eq!(
        station[..16],
        [0x00, 0x0A, 0, 2, 0, 0, 0, 0x70, 0x03, 0x80, 0, 0x34, 0, 0, 0, 0x68]
    );
    assert_eq!(station[16..19], [0x00, 0x0A, 0x38]);
    let transport = stand.ask(&MTX_TRANSPORT).good();
    assert_eq!(
        transport[..16],
        [0x00, 0x01, 0, 1, 0, 0, 0, 0x3C, 0x01, 0x80, 0, 0x34, 0, 0, 0, 0x34]
    );
    assert_eq!(transport[16..19], [0x00, 0x01, 0x00]);
}

#[test]
fn shows_all_kinds_by_ascending_address_and_ends_with_an_empty_header() {
    let stand = Stand::small();
    let addresses = |cdb: &[u8]| -> Vec<u16> {
        let status = stand.ask(cdb).good();
        let found = descriptors(&status);
        assert_eq!(usize::from(u16::from_be_bytes([status[2], status[3]])), found.len());
        found.iter().map(|one| u16::from_be_bytes([one[0], one[1]])).collect()
    };
    let all = [0x0001, 0x000A, 0x000B, 0x01F4, 0x01F5, 0x03E8, 0x03E9, 0x03EA, 0x03EB];
    // As mtx asks in its altres mode: eight from an address on, then eight from behind the last one, until there are none.
    assert_eq!(addresses(&[0xB8, 0x10, 0, 0, 0, 8, 0, 0, 4, 0x6C, 0, 0]), all[..8]);
    assert_eq!(
        addresses(&[0xB8, 0x10, 0x03, 0xEB, 0, 8, 0, 0, 4, 0x6C, 0, 0]),
        all[8..]
    );
    assert_eq!(
        stand.ask(&[0xB8, 0x10, 0x03, 0xEC, 0, 8, 0, 0, 4, 0x6C, 0, 0]).good(),
        [0; 8]
    );
    assert_eq!(stand.ask(&[0xB8, 0x10, 0, 0, 0, 0, 0, 0, 4, 0x6C, 0, 0]).good(), [0; 8]);
    assert_eq!(
        addresses(&[0xB8, 0x02, 0, 0, 0xFF, 0xFF, 0, 0, 4, 0x6C, 0, 0]),
        all[5..]
    );
    assert_eq!(
        addresses(&[0xB8, 0x00, 0x01, 0xF5, 0, 2, 0, 0, 4, 0x6C, 0, 0]),
        all[4..6]
    );
}

#[test]
fn leaves_the_tag_away_unless_asked_for_it() {
    let stand = Stand::small();
    let status = stand.ask(&[0xB8, 0x02, 0, 0, 0, 1, 0x02, 0, 4, 0x6C, 0, 0]).good();
    assert_eq!(status[8..16], [0x02, 0x00, 0x00, 0x10, 0, 0, 0, 0x10]);
    assert_eq!(
        status[16..],
        [0x03, 0xE8, 0x09, 0, 0, 0, 0, 0, 0, 0x01, 0, 0, 0, 0, 0, 0]
    );
}

#[test]
fn names_drives_in_full_when_asked_for_their_identity() {
    let stand = Stand::small();
    // Proxmox asks with DVCID alone.
    let status = stand
        .ask(&[0xB8, 0x04, 0, 0, 0, 0xFF, 0x01, 0, 0xFF, 0xFF, 0, 0])
        .good();
    assert_eq!(status[8..16], [0x04, 0x00, 0x00, 0x32, 0, 0, 0, 0x64]);
    assert_eq!(&status[28..66], b"\x02\x01\x00\x22IBM     ULT3580-TD8     1013000101");
    assert_eq!(&status[78..116], b"\x02\x01\x00\x22IBM     ULT3580-TD8     1013000102");
    // The serial number is the drive's own.
    let serial = stand
        .exchange(&stand.nexus, 1, &[0x12, 1, 0x80, 0, 0xFF, 0], &[], 255)
        .good();
    assert_eq!(serial[4..], status[106..116]);
    // With the tag it comes behind the tag, and slots have no identity.
    let both = stand
        .ask(&[0xB8, 0x10, 0, 0, 0, 0xFF, 0x01, 0, 0xFF, 0xFF, 0, 0])
        .good();
    let lengths: Vec<usize> = descriptors(&both).iter().map(Vec::len).collect();
    assert_eq!(lengths, [52, 52, 52, 86, 86, 52, 52, 52, 52]);
}

#[test]
fn names_drives_by_serial_number_alone_when_it_is_told_to() {
    let stand = Stand::of(&SMALL.replace("slots = 4", "slots = 4\ndrive-identification = \"serial\""));
    let status = stand
        .ask(&[0xB8, 0x04, 0, 0, 0, 0xFF, 0x01, 0, 0xFF, 0xFF, 0, 0])
        .good();
    assert_eq!(status[8..12], [0x04, 0x00, 0x00, 0x1A]);
    assert_eq!(&status[28..42], b"\x02\x00\x00\x0A1013000101");
}

#[test]
fn sends_whole_descriptors_only_and_changes_no_count() {
    let stand = Stand::small();
    let whole = stand.ask(&MTX_STORAGE).good();
    for (allocation_length, sent) in [
        (0, 0),
        (1, 1),
        (8, 8),
        (15, 8),
        (16, 16),
        (67, 16),
        (68, 68),
        (119, 68),
        (224, 224),
        (255, 224),
    ] {
        let mut cdb = MTX_STORAGE;
        (cdb[8], cdb[9]) = (0, allocation_length);
        assert_eq!(
            stand.ask(&cdb).good(),
            whole[..sent],
            "allocation length {allocation_length}"
        );
    }
    // A buffer that is shorter than the allocation length cuts wherever it ends.
    let cut = stand.exchange(&stand.nexus, CHANGER, &MTX_STORAGE, &[], 70).good();
    assert_eq!(cut, whole[..70]);
}

#[test]
fn finds_the_length_with_a_small_allocation_and_asks_again() {
    let stand = Stand::small();
    let head = stand.ask(&[0xB8, 0x10, 0, 0, 0xFF, 0xFF, 0, 0, 0, 8, 0, 0]).good();
    let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) + 8;
    let [_, high, middle, low] = length.to_be_bytes();
    let whole = stand
        .ask(&[0xB8, 0x10, 0, 0, 0xFF, 0xFF, 0, high, middle, low, 0, 0])
        .good();
    assert_eq!(u32::try_from(whole.len()), Ok(length));
    assert_eq!(descriptors(&whole).len(), 9);
}

#[test]
fn refuses_element_types_and_bits_that_do_not_exist() {
    let stand = Stand::small();
    for (at, value) in [(1, 0x05), (1, 0x1F), (1, 0x20), (6, 0x04), (10, 0x01), (11, 0x04)] {
        let mut cdb = MTX_STORAGE;
        cdb[at] = value;
        let answer = stand.ask(&cdb);
        assert_eq!(answer.sense_code(), (5, 0x24, 0));
        assert_eq!(usize::from(answer.sense[17]), at);
    }
}

#[test]
fn answers_the_small_commands() {
    let stand = Stand::small();
    stand.send(CHANGER, &[0x00, 0, 0, 0, 0, 0]).good();
    stand.send(CHANGER, &[0x07, 0, 0, 0, 0, 0]).good();
    stand.send(CHANGER, &[0xE7, 0x01, 0x03, 0xE8, 0, 0, 0, 2, 0, 0]).good();
    stand.send(CHANGER, &[0x37, 0x01, 0x03, 0xE8, 0, 0, 0, 2, 0, 0]).good();
    assert_eq!(
        stand
            .send(CHANGER, &[0xE7, 0x01, 0x03, 0, 0, 0, 0, 2, 0, 0])
            .sense_code(),
        (5, 0x21, 1)
    );
    let luns = stand.ask(&[0xA0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]).good();
    assert_eq!(luns, [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let pages = stand.ask(&[0x4D, 0, 0x40, 0, 0, 0, 0, 0, 0xFF, 0]).good();
    assert_eq!(pages, [0, 0, 0, 1, 0]);
    assert_eq!(
        stand.ask(&[0x4D, 0, 0x6E, 0, 0, 0, 0, 0, 0xFF, 0]).sense_code(),
        (5, 0x24, 0)
    );
    let sense = stand.ask(&[0x03, 0, 0, 0, 18, 0]).good();
    assert_eq!((sense[0], sense[2], sense.len()), (0x70, 0, 18));
    // RESERVE, RELEASE, MODE SELECT, SEND VOLUME TAG, LOAD UNLOAD.
    for code in [0x16, 0x17, 0x15, 0xB6, 0x1B] {
        assert_eq!(
            stand
                .send(CHANGER, &[code, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
                .sense_code(),
            (5, 0x20, 0)
        );
    }
}

#[test]
fn tells_each_nexus_of_power_on_and_of_a_reset() {
    let stand = Stand::small();
    let other = ItNexus::new("host2").unwrap();
    let ready = |nexus| stand.exchange(nexus, CHANGER, &[0; 6], &[], 0);
    // INQUIRY and REPORT LUNS do not take it; REQUEST SENSE does.
    assert_eq!(
        stand.exchange(&other, CHANGER, &[0x12, 0, 0, 0, 36, 0], &[], 36).status,
        Status::GOOD
    );
    assert_eq!(ready(&other).sense_code(), (6, 0x29, 0));
    ready(&other).good();
    stand
        .library
        .visit(CHANGER, &mut |changer| changer.apply(Event::Reset))
        .unwrap();
    assert_eq!(ready(&other).sense_code(), (6, 0x29, 3));
    let told = stand.ask(&[0x03, 0, 0, 0, 18, 0]).good();
    assert_eq!((told[2], told[12], told[13]), (6, 0x29, 3));
    ready(&stand.nexus).good();
}

#[test]
fn marks_what_an_operator_put_into_the_station_and_tells_everybody() {
    let stand = Stand::small();
    let other = ItNexus::new("host2").unwrap();
    let ready = |nexus| stand.exchange(nexus, CHANGER, &[0; 6], &[], 0);
    assert_eq!(ready(&other).sense_code(), (6, 0x29, 0));
    stand.library.open_io().unwrap();
    assert_eq!(stand.descriptor(0x000A)[2..6], [0x34, 0, 0x3B, 0x11]);
    assert_eq!(stand.library.insert("B00001L8", None).unwrap(), Place::ImportExport(1));
    assert_eq!(stand.carry(0x000A, 0x03EA).sense_code(), (5, 0x3B, 0x11));
    stand.library.close_io();
    for nexus in [&stand.nexus, &other] {
        assert_eq!(ready(nexus).sense_code(), (6, 0x28, 1));
        ready(nexus).good();
    }
    let descriptor = stand.descriptor(0x000A);
    assert_eq!(descriptor[2..6], [0x3B, 0, 0, 0]);
    assert_eq!(&descriptor[12..20], b"B00001L8");
    stand.carry(0x000A, 0x03EA).good();
    // The robot put it there, whatever was before; it came from the station.
    assert_eq!(
        stand.descriptor(0x03EA)[2..12],
        [0x09, 0, 0, 0, 0, 0, 0, 0x81, 0x00, 0x0A]
    );
    stand.carry(0x03EA, 0x000B).good();
    assert_eq!(stand.descriptor(0x000B)[2], 0x39);
}
