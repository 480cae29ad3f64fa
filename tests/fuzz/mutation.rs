//! Lots, and what they do to bytes.

/// Numbers that follow from seed and round alone (splitmix64).
pub(crate) struct Lots(u64);

/// Values that lengths, types and tags like to break at.
const EDGES: [u8; 14] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x0B, 0x7F, 0x80, 0xFF];

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
        match self.below(2) {
            0 => EDGES[self.below(EDGES.len())],
            _ => self.next().to_be_bytes()[0],
        }
    }

    pub(crate) fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| self.byte()).collect()
    }

    /// Changes some bytes, cuts, repeats or lengthens.
    pub(crate) fn spoil(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let place = self.below(bytes.len());
            match self.below(8) {
                0 => bytes.truncate(place),
                1 => bytes.extend(self.bytes(16)),
                2 => bytes.extend_from_within(place..),
                _ => {
                    let byte = self.byte();
                    if let Some(there) = bytes.get_mut(place) {
                        *there = byte;
                    }
                }
            }
        }
    }
}
