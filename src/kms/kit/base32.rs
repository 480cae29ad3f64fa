//! Bytes as characters that a person can type and a scanner can tell apart: Crockford's base 32, ten digits and the letters without I, L,
//! O and U.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The character as it stands in the alphabet, however it was typed or read: small letters, O for 0, I and L for 1, U for V. `None` for
/// anything that is no letter or digit.
pub(super) fn normal(character: char) -> Option<char> {
    Some(match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        'U' => 'V',
        other if other.is_ascii_alphanumeric() => other,
        _ => return None,
    })
}

/// `bytes`, most significant bit first, five bits a character; the last character is filled up with zero bits.
pub(super) fn encode(bytes: &[u8]) -> String {
    let (mut text, mut held, mut bits) = (String::new(), 0_u32, 0_u32);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(character(held >> bits));
        }
        held &= 0x1F;
    }
    if bits > 0 {
        text.push(character(held << (5 - bits)));
    }
    text
}

/// The bytes of [`normal`] characters; bits that fill no byte are left away. `None` if one is not in the alphabet.
pub(super) fn decode(characters: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0_u32);
    for character in characters.bytes() {
        let value = ALPHABET.iter().position(|known| *known == character)?;
        held = (held << 5 | u32::try_from(value).ok()?) & 0xFFFF;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xFF).ok()?);
        }
    }
    Some(bytes)
}

fn character(value: u32) -> char {
    let index = usize::try_from(value & 0x1F).unwrap_or(0);
    ALPHABET.get(index).copied().map_or('0', char::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back_and_the_fill_is_zero_bits() {
        for length in 0..64_u8 {
            let bytes: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(151).wrapping_add(7)).collect();
            let text = encode(&bytes);
            assert_eq!(text.len(), usize::from(length).saturating_mul(8).div_ceil(5));
            assert_eq!(decode(&text).unwrap(), bytes);
        }
        assert_eq!(encode(&[0xFF; 5]), "ZZZZZZZZ");
        assert_eq!(encode(&[0xFF]), "ZW");
        assert_eq!(decode("A!"), None);
    }

    #[test]
    fn characters_that_look_alike_are_the_same() {
        let typed: Option<String> = "oO0 iIlL1 uUvV aZ"
            .split(' ')
            .map(|group| group.chars().map(normal).collect::<Option<String>>())
            .collect();
        assert_eq!(typed.unwrap(), "00011111VVVVAZ");
        assert_eq!(normal('-'), None);
        assert_eq!(normal('é'), None);
    }
}
