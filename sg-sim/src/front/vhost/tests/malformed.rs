//! Chains that no honest driver makes: the device must not panic, and must write nowhere but into what it was given.

use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress, GuestAddressSpace};

use super::guest::{BUFFERS, CONTROL, Guest, MEMORY_BYTES, NEXT, REQUESTS, WRITE, drive, header, lun, task_management};

const INQUIRY: [u8; 6] = [0x12, 0, 0, 0, 96, 0];

#[test]
fn a_chain_too_short_for_a_response_is_given_back_untouched() {
    let mut guest = Guest::new(&drive(), REQUESTS);
    for room in [0, 1, 107] {
        let answer = guest.exchange(&[&header(lun(0), &INQUIRY)], room);
        assert_eq!(answer.written, 0);
        assert_eq!(answer.bytes, vec![0xA5; room]);
    }
    assert_eq!(guest.command(&INQUIRY, 96).status(), 0);
}

#[test]
fn a_header_cut_short_is_a_failure() {
    let mut guest = Guest::new(&drive(), REQUESTS);
    let whole = header(lun(0), &INQUIRY);
    for length in [0, 1, 19, 50] {
        let answer = guest.exchange(&[&whole[..length]], 108 + 96);
        assert_eq!((answer.outcome(), answer.written), (9, 108), "{length}");
        assert_eq!(answer.data(), [0xA5; 96]);
    }
}

#[test]
fn descriptors_outside_the_memory_are_given_back_without_an_answer() {
    let mut guest = Guest::new(&drive(), REQUESTS);
    let request = guest.buffer(51);
    guest.write(request, &header(lun(0), &INQUIRY));
    let end = u64::try_from(MEMORY_BYTES).unwrap();
    for at in [end, end - 100, u64::MAX - 50, 1 << 40] {
        let head = guest.descriptor(request, 51, NEXT);
        guest.descriptor(at, 204, WRITE);
        guest.offer(head);
        guest.wait();
        assert_eq!(guest.used(), Some((u32::from(head), 0)), "{at:X}");
    }
    let head = guest.descriptor(end - 20, 51, NEXT);
    let answer = guest.buffer(108);
    guest.descriptor(answer, 108, WRITE);
    guest.offer(head);
    guest.wait();
    assert_eq!(guest.used(), Some((u32::from(head), 108)));
    assert_eq!(guest.read::<12>(answer)[11], 9, "FAILURE: the header cannot be read");
}

#[test]
fn a_chain_that_leads_back_to_itself_ends() {
    let mut guest = Guest::new(&drive(), REQUESTS);
    let request = guest.buffer(51);
    guest.write(request, &header(lun(0), &INQUIRY));
    guest.write(0, &super::guest::descriptor(request, 51, NEXT, 0));
    guest.offer(0);
    guest.wait();
    assert_eq!(guest.used(), Some((0, 0)));
}

#[test]
fn a_head_beyond_the_table_is_ignored_or_given_back() {
    let mut guest = Guest::new(&drive(), REQUESTS);
    guest.offer(60_000);
    assert!(matches!(guest.used(), None | Some((60_000, 0))));
}

#[test]
fn a_task_management_request_cut_short_is_a_failure() {
    let mut guest = Guest::new(&drive(), CONTROL);
    let whole = task_management(5, lun(0));
    for length in 0..whole.len() {
        let answer = guest.exchange(&[&whole[..length]], 1);
        assert_eq!((answer.written, answer.bytes), (1, vec![9]), "{length}");
    }
    assert_eq!(guest.exchange(&[&whole], 0).written, 0);
}

/// A descriptor as a hostile guest may write it: most of the time near the memory that there is.
fn any_descriptor() -> impl Strategy<Value = (u64, u32, u16, u16)> {
    let at = prop_oneof![4 => BUFFERS..0x2_0000, 1 => any::<u64>()];
    let length = prop_oneof![4 => 0_u32..0x1_0000, 1 => any::<u32>()];
    let flags = prop_oneof![6 => 0_u16..4, 1 => 4_u16..8, 1 => any::<u16>()];
    let next = prop_oneof![6 => 0_u16..8, 1 => any::<u16>()];
    (at, length, flags, next)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_is_written_but_where_the_guest_allows_it(
        table in proptest::collection::vec(any_descriptor(), 8),
        head in 0_u16..8,
        queue in prop_oneof![Just(CONTROL), Just(REQUESTS)],
        bytes in proptest::collection::vec(any::<u8>(), 60),
        target in 0_u8..2,
    ) {
        let mut guest = Guest::new(&drive(), queue);
        let mut image = header(lun(target), &bytes);
        image.truncate(51);
        image.extend(&bytes);
        for at in (BUFFERS..0x2_0000).step_by(128) {
            guest.write(at, &image);
        }
        for &(at, length, flags, next) in &table {
            let number = guest.descriptor(0, 0, 0);
            guest.write(16 * u64::from(number), &super::guest::descriptor(at, length, flags, next));
        }
        let before = snapshot(&guest);
        guest.offer(head);
        guest.stop();
        let after = snapshot(&guest);
        let indirect = table.iter().any(|&(_, _, flags, _)| flags & super::guest::INDIRECT != 0);
        if !indirect {
            for (at, (old, new)) in before.iter().zip(&after).enumerate().skip(0x1_0000) {
                prop_assert!(old == new || allowed(&table, at), "byte {at:X} changed");
            }
        }
    }
}

/// Whether a byte lies in a descriptor that the device may write.
fn allowed(table: &[(u64, u32, u16, u16)], at: usize) -> bool {
    let at = u64::try_from(at).unwrap();
    table
        .iter()
        .any(|&(from, length, flags, _)| flags & WRITE != 0 && from <= at && at - from < u64::from(length))
}

fn snapshot(guest: &Guest) -> Vec<u8> {
    let mut bytes = vec![0; MEMORY_BYTES];
    guest.memory.memory().read_slice(&mut bytes, GuestAddress(0)).unwrap();
    bytes
}
