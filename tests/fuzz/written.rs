//! Messages to begin with: fields of all types in structures in structures, half of them spoilt afterwards.

use crate::mutation::Lots;

/// A message that follows from `lots`.
pub(crate) fn message(lots: &mut Lots) -> Vec<u8> {
    let depth = lots.below(20);
    let mut message = structure(lots, depth);
    if lots.below(2) == 0 {
        lots.spoil(&mut message);
    }
    message
}

fn structure(lots: &mut Lots, depth: usize) -> Vec<u8> {
    let count = lots.below(5);
    let mut value: Vec<u8> = (0..count).flat_map(|_| simple(lots)).collect();
    if depth > 0 {
        value.extend(structure(lots, depth - 1));
    }
    field(lots, 1, &value)
}

fn simple(lots: &mut Lots) -> Vec<u8> {
    let kind = lots.byte() % 16;
    let value = match kind {
        2 | 5 | 10 => lots.next().to_be_bytes()[..4].to_vec(),
        3 | 6 | 9 | 11 => lots.next().to_be_bytes().to_vec(),
        7 => lots.bytes(24).into_iter().map(|byte| byte & 0x7F).collect(),
        1 => Vec::new(),
        _ => lots.bytes(40),
    };
    field(lots, kind, &value)
}

fn field(lots: &mut Lots, kind: u8, value: &[u8]) -> Vec<u8> {
    let mut field = vec![0x42, 0x00, lots.byte(), kind];
    field.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
    field.extend(value);
    field.resize(field.len().next_multiple_of(8), lots.byte());
    field
}
