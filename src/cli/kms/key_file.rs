//! Key files of other software: stenc's, and keys alone as bytes, hex or base64. Pure; no error repeats a word of the file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::kms_api::{DESCRIPTION_LENGTH_MAX, IMPORT_KEYS_MAX};
use crate::secret::{DataKey, KEY_LENGTH};

/// Most bytes of a key file: many times what the most keys of one import need.
pub(super) const FILE_LENGTH_MAX: usize = 16 * 1024;

/// Bytes of U-KAD that every drive stores.
const UNAUTHENTICATED_KAD_LENGTH: usize = 32;

/// Most bytes of a line of stenc's that is taken for a KAD.
const KAD_LENGTH_MAX: usize = crate::kms_api::text::KAD_LENGTH_MAX;

/// How keys are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// stenc 1.x and 2.x: the key in hex, then a description, which stenc writes to the tape as the KAD
    Stenc,
    /// One key as 32 bytes
    Raw,
    /// Keys in hex, one a line
    Hex,
    /// Keys in base64, one a line
    Base64,
}

/// A key and what the file says of it. No `Debug`: it holds a key.
pub(super) struct FileKey {
    pub(super) key: DataKey,
    /// The KAD that the software writes with it.
    pub(super) kad: Option<Vec<u8>>,
    /// A note for people.
    pub(super) note: Option<String>,
}

/// What a file holds. No `Debug`: it holds keys.
pub(super) struct Parsed {
    pub(super) keys: Vec<FileKey>,
    /// What an operator should know.
    pub(super) notes: Vec<String>,
}

/// A key file cannot be read as what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum KeyFileError {
    /// Nothing in it.
    #[error("the file holds no key\nhint: is this the right file?")]
    Empty,
    /// Another length of the whole.
    #[error("a raw key has {KEY_LENGTH} bytes, the file {found}\nhint: is it --format hex or base64?")]
    NotRaw {
        /// Bytes of the file.
        found: usize,
    },
    /// A line that is no key.
    #[error(
        "line {line} is no {KEY_LENGTH}-byte key in {how}\nhint: LTO drives take keys of 256 bits and no shorter ones; is --format right?"
    )]
    NotAKey {
        /// Which line, from 1.
        line: usize,
        /// What it should be.
        how: &'static str,
    },
    /// More keys than one import takes.
    #[error("the file holds more than {IMPORT_KEYS_MAX} keys\nhint: divide it")]
    TooMany,
    /// A description that no drive can have stored.
    #[error("the description in line 2 has more than {KAD_LENGTH_MAX} bytes\nhint: is this a key file of stenc?")]
    DescriptionTooLong,
}

/// Reads the keys in `bytes`.
pub(super) fn parse(format: Format, bytes: &[u8]) -> Result<Parsed, KeyFileError> {
    match format {
        Format::Stenc => stenc(bytes),
        Format::Raw => raw(bytes),
        Format::Hex => lines(bytes, "hex", from_hex),
        Format::Base64 => lines(bytes, "base64", from_base64),
    }
}

fn stenc(bytes: &[u8]) -> Result<Parsed, KeyFileError> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default().trim_ascii();
    if first.is_empty() {
        return Err(KeyFileError::Empty);
    }
    let key = from_hex(first).ok_or(KeyFileError::NotAKey { line: 1, how: "hex" })?;
    let kad = lines.next().filter(|kad| !kad.is_empty()).map(<[u8]>::to_vec);
    let mut notes = vec![
        "keys that stenc 1.0.x generated have 32 bits of entropy at most and can be guessed; whether this is one cannot be told \
         from the key. Read the tapes, and write new ones under another key"
            .to_owned(),
    ];
    match &kad {
        None => notes.push(
            "the file has no description, so stenc wrote no KAD to the tape: give --kad-text or --kad-hex if there is one, or the \
             key will be found by its id alone"
                .to_owned(),
        ),
        Some(kad) if kad.len() > KAD_LENGTH_MAX => return Err(KeyFileError::DescriptionTooLong),
        Some(kad) if kad.len() > UNAUTHENTICATED_KAD_LENGTH => notes.push(format!(
            "the description has {} bytes and drives store {UNAUTHENTICATED_KAD_LENGTH}: look what stands on the tape, and give that as --kad-text",
            kad.len()
        )),
        Some(_) => {}
    }
    if lines.any(|line| !line.trim_ascii().is_empty()) {
        notes.push("the file has more than two lines; stenc reads two, the others were left out".to_owned());
    }
    let note = kad
        .as_deref()
        .and_then(|kad| std::str::from_utf8(kad).ok())
        .filter(|text| !text.chars().any(char::is_control) && text.len() <= DESCRIPTION_LENGTH_MAX)
        .map(str::to_owned);
    Ok(Parsed {
        keys: vec![FileKey { key, kad, note }],
        notes,
    })
}

fn raw(bytes: &[u8]) -> Result<Parsed, KeyFileError> {
    let mut copy = Zeroizing::new(bytes.to_vec());
    let key = DataKey::take_slice(&mut copy).map_err(|error| KeyFileError::NotRaw { found: error.found })?;
    Ok(alone(vec![key]))
}

fn lines(bytes: &[u8], how: &'static str, read: impl Fn(&[u8]) -> Option<DataKey>) -> Result<Parsed, KeyFileError> {
    let mut keys = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let key = read(line).ok_or(KeyFileError::NotAKey { line: index + 1, how })?;
        keys.push(key);
    }
    match keys.len() {
        0 => Err(KeyFileError::Empty),
        1..=IMPORT_KEYS_MAX => Ok(alone(keys)),
        _ => Err(KeyFileError::TooMany),
    }
}

/// Keys of which the file says nothing.
fn alone(keys: Vec<DataKey>) -> Parsed {
    let keys = keys.into_iter().map(|key| FileKey {
        key,
        kad: None,
        note: None,
    });
    Parsed {
        keys: keys.collect(),
        notes: Vec::new(),
    }
}

fn from_hex(line: &[u8]) -> Option<DataKey> {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    hex::decode_to_slice(line, key.as_mut_slice()).ok()?;
    Some(DataKey::take(&mut key))
}

fn from_base64(line: &[u8]) -> Option<DataKey> {
    let mut bytes = Zeroizing::new(STANDARD.decode(line).ok()?);
    DataKey::take_slice(&mut bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090A0B0C0D0E0F101112131415161718191a1b1c1d1e1f";
    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn key() -> [u8; 32] {
        std::array::from_fn(|index| u8::try_from(index).unwrap())
    }

    #[test]
    fn stenc_files_have_a_key_and_perhaps_a_description() {
        for (file, kad) in [
            (format!("{HEX}\nJanuary 2024\n"), Some("January 2024")),
            (format!("{HEX}\nJanuary 2024"), Some("January 2024")),
            (format!("{HEX}\n padded  \n\n"), Some(" padded  ")),
            (format!("{HEX}\n"), None),
            (HEX.to_owned(), None),
        ] {
            let parsed = parse(Format::Stenc, file.as_bytes()).ok().unwrap();
            assert_eq!(parsed.keys[0].key.expose(), &key());
            assert_eq!(parsed.keys[0].kad.as_deref(), kad.map(str::as_bytes), "{file:?}");
            assert!(parsed.notes[0].contains("cannot be told"), "the generator of 1.0.x");
            assert_eq!(
                parsed.notes.len(),
                if kad.is_some() { 1 } else { 2 },
                "{:?}",
                parsed.notes
            );
        }
        let long = parse(Format::Stenc, format!("{HEX}\n{}\nmore", "x".repeat(33)).as_bytes())
            .ok()
            .unwrap();
        assert!(long.notes[1].contains("33 bytes") && long.notes[2].contains("two lines"));
    }

    #[test]
    fn keys_alone_are_bytes_hex_or_base64() {
        for (format, file) in [
            (Format::Raw, key().to_vec()),
            (Format::Hex, format!("\n{HEX}\r\n").into_bytes()),
            (Format::Base64, format!("{BASE64}\n").into_bytes()),
        ] {
            let parsed = parse(format, &file).ok().unwrap();
            assert_eq!(
                (parsed.keys.len(), parsed.keys[0].key.expose()),
                (1, &key()),
                "{format:?}"
            );
        }
        let two = parse(Format::Hex, format!("{HEX}\n{HEX}\n").as_bytes()).ok().unwrap();
        assert_eq!(two.keys.len(), 2);
        let most = vec![HEX; IMPORT_KEYS_MAX + 1].join("\n");
        assert_eq!(parse(Format::Hex, most.as_bytes()).err(), Some(KeyFileError::TooMany));
    }

    #[test]
    fn anything_else_is_refused_without_repeating_it() {
        for format in [Format::Stenc, Format::Raw, Format::Hex, Format::Base64] {
            let whole = match format {
                Format::Raw => key().to_vec(),
                Format::Base64 => BASE64.as_bytes().to_vec(),
                _ => HEX.as_bytes().to_vec(),
            };
            for cut in 0..whole.len() {
                let error = parse(format, &whole[..cut]).err().unwrap().to_string();
                assert!(error.contains("hint: "), "{error}");
                assert!(cut < 8 || !error.contains(&String::from_utf8_lossy(&whole[..cut]).into_owned()));
            }
            for wrong in [b"zz".as_slice(), b"\xff\xfe", &[b'0'; 66], b"\n\n"] {
                assert!(parse(format, wrong).is_err(), "{format:?} {wrong:?}");
            }
        }
    }
}
