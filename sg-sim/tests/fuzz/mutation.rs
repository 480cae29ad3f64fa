//! Lots, and what they do to an input.

/// Numbers that follow from seed and round alone (splitmix64).
pub(crate) struct Lots(u64);

/// Values that fields like to break at.
const EDGES: [u8; 12] = [0, 1, 2, 3, 0x10, 0x1F, 0x20, 0x40, 0x7F, 0x80, 0xFE, 0xFF];

impl Lots {
    pub(crate) fn new(seed: u64, round: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ round.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 if that is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        if self.below(2) == 0 {
            EDGES[self.below(EDGES.len())]
        } else {
            self.next().to_be_bytes()[0]
        }
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Changes some bytes: flips, sets, inserts, removes, cuts, repeats.
pub(crate) fn mutate(bytes: &mut Vec<u8>, lots: &mut Lots) {
    for _ in 0..=lots.below(4) {
        let at = lots.below(bytes.len() + 1);
        match lots.below(8) {
            0..=2 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = lots.byte();
                }
            }
            3..=4 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << lots.below(8);
                }
            }
            5 => bytes.insert(at, lots.byte()),
            6 => {
                if at < bytes.len() {
                    bytes.remove(at);
                }
            }
            _ => bytes.truncate(at),
        }
    }
}
