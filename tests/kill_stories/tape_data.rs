//! What the writer writes: blocks that follow from a seed, no two alike, and the search for them in a cartridge file.

use std::collections::{HashMap, HashSet};

/// Bytes of a block.
pub(crate) const BLOCK_LENGTH: usize = 8 * 1024;

/// Bytes that are looked for in one piece.
const WINDOW: usize = 32;

/// Numbers that follow from a seed (xorshift64*, Vigna 2016).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // The state must not be zero; the multiplication spreads small seeds.
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }
}

/// Block `number` of the volume whose data follow from `seed`.
pub(crate) fn block(seed: u64, number: usize) -> Vec<u8> {
    let mut random = Random::new(seed ^ (u64::try_from(number).unwrap() << 40));
    let mut bytes = Vec::with_capacity(BLOCK_LENGTH);
    while bytes.len() < BLOCK_LENGTH {
        bytes.extend(random.next().to_be_bytes());
    }
    bytes
}

/// How many of the pieces of the first `blocks` blocks stand in `file`, at any offset. Whoever finds 63 bytes of a block in a row finds such a piece.
pub(crate) fn plain_windows(file: &[u8], seed: u64, blocks: usize) -> usize {
    let mut wanted: HashMap<[u8; 8], Vec<[u8; WINDOW]>> = HashMap::new();
    for block in (0..blocks).map(|number| block(seed, number)) {
        for window in block.as_chunks::<WINDOW>().0 {
            wanted.entry(*window.first_chunk().unwrap()).or_default().push(*window);
        }
    }
    let mut found: HashSet<[u8; WINDOW]> = HashSet::new();
    for place in file.windows(WINDOW) {
        let candidates = wanted.get(place.first_chunk::<8>().unwrap());
        found.extend(candidates.into_iter().flatten().filter(|window| *window == place));
    }
    found.len()
}

#[test]
fn the_search_finds_every_piece_of_a_block_wherever_it_stands() {
    let mut file = vec![0; 13];
    file.extend(block(7, 1));
    assert_eq!(plain_windows(&file, 7, 2), BLOCK_LENGTH / WINDOW);
    file[13 + BLOCK_LENGTH / 2] ^= 1;
    assert_eq!(plain_windows(&file, 7, 2), BLOCK_LENGTH / WINDOW - 1);
    assert_eq!(plain_windows(&file, 8, 2), 0);
}
