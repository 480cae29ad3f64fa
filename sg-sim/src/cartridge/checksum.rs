//! CRC-32C (Castagnoli polynomial, reflected; iSCSI's CRC, RFC 3720 section 12.1), eight bytes at a time.

/// CRC-32C of `bytes`.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    extend(0, bytes)
}

/// CRC-32C of everything that gave `crc`, followed by `bytes`.
pub(super) fn extend(crc: u32, bytes: &[u8]) -> u32 {
    let mut state = !crc;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let [b0, b1, b2, b3, b4, b5, b6, b7] = *word;
        let [s0, s1, s2, s3] = (state ^ u32::from_le_bytes([b0, b1, b2, b3])).to_le_bytes();
        state = entry(7, s0)
            ^ entry(6, s1)
            ^ entry(5, s2)
            ^ entry(4, s3)
            ^ entry(3, b4)
            ^ entry(2, b5)
            ^ entry(1, b6)
            ^ entry(0, b7);
    }
    for byte in rest {
        let [low, ..] = state.to_le_bytes();
        state = (state >> 8) ^ entry(0, low ^ byte);
    }
    !state
}

#[expect(
    clippy::indexing_slicing,
    reason = "a byte cannot be outside a table of 256, nor a constant below 8 outside one of 8"
)]
fn entry(table: usize, byte: u8) -> u32 {
    TABLES[table & 7][usize::from(byte)]
}

static TABLES: [[u32; 256]; 8] = tables();

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated by the compiler, which would refuse it"
)]
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82F6_3B78
            } else {
                crc >> 1
            };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let crc = tables[table - 1][byte];
            tables[table][byte] = (crc >> 8) ^ tables[0][(crc & 0xFF) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, appendix B.4, "CRC Examples".
    #[test]
    fn gives_the_published_values() {
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(crc32c(&(0..32).collect::<Vec<u8>>()), 0x46DD_794E);
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
    }

    #[test]
    fn goes_on_where_it_stopped() {
        let bytes: Vec<u8> = (0..100).collect();
        for cut in 0..bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(extend(crc32c(head), tail), crc32c(&bytes));
        }
    }
}
