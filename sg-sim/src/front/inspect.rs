//! `sg-sim inspect`: what a cartridge file holds, for people and as JSON.
//!
//! It only reads: files that may not be written, and files that a drive holds, which it says. A torn record at the end stays where it is.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use super::trace::Hex;
use crate::cartridge::{Object, ObjectKind};
use crate::{Cartridge, CartridgeError};

/// Why a file could not be looked into.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(super) enum InspectError {
    /// It is no cartridge, or cannot be opened.
    #[error(transparent)]
    Cartridge(#[from] CartridgeError),
    /// The report could not be written as JSON.
    #[error("inspect {path}: write JSON: {source}\nhint: a bug in the simulator")]
    Json {
        /// The file.
        path: PathBuf,
        /// What serde says.
        source: serde_json::Error,
    },
}

/// All that is said about a file.
#[derive(Debug, Serialize)]
struct Report {
    cartridge: PathBuf,
    in_use: bool,
    medium_serial: String,
    barcode: Option<String>,
    files: u64,
    blocks: u64,
    plain_blocks: u64,
    encrypted_blocks: u64,
    filemarks: u64,
    damaged: u64,
    block_bytes: u64,
    torn_bytes: u64,
    objects: Vec<Entry>,
}

/// One object on the tape.
#[derive(Debug, Serialize)]
struct Entry {
    object: u64,
    /// How many filemarks lie before it.
    file: u64,
    #[serde(flatten)]
    what: What,
}

/// What an object is, without its place.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct What {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<Sealed>,
}

/// What is stored beside an encrypted block.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Sealed {
    algorithm: u8,
    raw_enabled: bool,
    kad_format: u8,
    kads: Vec<Kad>,
}

/// One key-associated data descriptor (SSC-4, "Key descriptors").
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Kad {
    kind: String,
    hex: String,
}

/// Looks into `file` and returns what to print.
///
/// # Errors
/// The file is no cartridge, or cannot be read.
pub(super) fn run(file: &Path, json: bool) -> Result<String, InspectError> {
    let report = Report::of(file)?;
    if !json {
        return Ok(report.text());
    }
    let text = serde_json::to_string_pretty(&report).map_err(|source| InspectError::Json {
        path: file.to_owned(),
        source,
    })?;
    Ok(text + "\n")
}

impl Report {
    fn of(file: &Path) -> Result<Self, InspectError> {
        let (mut cartridge, in_use) = Cartridge::open_to_look(file)?;
        let numbers = 0..cartridge.index().objects();
        let objects: Vec<Entry> = numbers
            .map(|object| Entry {
                object,
                file: cartridge.index().filemarks_before(object),
                what: look_at(&mut cartridge, object),
            })
            .collect();
        let count =
            |kind| u64::try_from(objects.iter().filter(|entry| entry.what.kind == kind).count()).unwrap_or(u64::MAX);
        let (plain_blocks, encrypted_blocks) = (count(PLAIN), count(ENCRYPTED));
        Ok(Self {
            cartridge: file.to_owned(),
            in_use,
            medium_serial: cartridge.medium_serial().to_owned(),
            barcode: cartridge.barcode(),
            files: objects
                .iter()
                .map(|entry| entry.file)
                .collect::<BTreeSet<_>>()
                .len()
                .try_into()
                .unwrap_or(u64::MAX),
            blocks: plain_blocks.saturating_add(encrypted_blocks),
            plain_blocks,
            encrypted_blocks,
            filemarks: count(FILEMARK),
            damaged: count(DAMAGED),
            block_bytes: objects.iter().filter_map(|entry| entry.what.bytes).map(u64::from).sum(),
            torn_bytes: cartridge.torn_bytes(),
            objects,
        })
    }

    fn text(&self) -> String {
        let barcode = self.barcode.as_deref().unwrap_or("none");
        let in_use = if self.in_use {
            " (in use: a drive holds it, and may write on)"
        } else {
            ""
        };
        let mut out = format!("cartridge      {}{in_use}\n", self.cartridge.display());
        out += &format!("medium serial  {}\nbarcode        {barcode}\n\n", self.medium_serial);
        out += &format!("{:>17}  {:9}  {:>9}  key-associated data\n", "objects", "kind", "bytes");
        for run in self.objects.chunk_by(|one, next| one.what == next.what) {
            out += &line(run);
        }
        out += &format!(
            "\nobjects {}, blocks {} (plain {}, encrypted {}), filemarks {}, damaged {}, bytes in blocks {}\n",
            self.objects.len(),
            self.blocks,
            self.plain_blocks,
            self.encrypted_blocks,
            self.filemarks,
            self.damaged,
            self.block_bytes
        );
        if self.torn_bytes > 0 && self.in_use {
            out += &format!("{} bytes at the end are no whole record, or not yet\n", self.torn_bytes);
        } else if self.torn_bytes > 0 {
            out += &format!(
                "a torn record at the end: {} bytes, left as they are; a drive drops them\n",
                self.torn_bytes
            );
        }
        out
    }
}

/// One line for objects that differ in nothing but their place.
fn line(run: &[Entry]) -> String {
    let [first, ..] = run else { return String::new() };
    let places = match run.last() {
        Some(last) if last.object != first.object => format!("{}-{}", first.object, last.object),
        _ => first.object.to_string(),
    };
    let bytes = first.what.bytes.map(|bytes| bytes.to_string()).unwrap_or_default();
    let mut kads = String::new();
    for Kad { kind, hex } in first.what.sealed.iter().flat_map(|sealed| &sealed.kads) {
        // Writing to a String cannot fail.
        let _ = write!(kads, "  {kind} {hex}");
    }
    let line = format!("{places:>17}  {:9}  {bytes:>9}{kads}", first.what.kind);
    format!("{}\n", line.trim_end())
}

fn look_at(cartridge: &mut Cartridge, number: u64) -> What {
    let damaged = What {
        kind: DAMAGED,
        bytes: None,
        sealed: None,
    };
    let Some(Object { block_bytes, kind, .. }) = cartridge.index().object(number) else {
        return damaged;
    };
    let Ok(record) = cartridge.record(number) else {
        return damaged;
    };
    match kind {
        ObjectKind::Damaged => damaged,
        ObjectKind::Filemark => What {
            kind: FILEMARK,
            bytes: None,
            sealed: None,
        },
        ObjectKind::Plain => What {
            kind: PLAIN,
            bytes: Some(block_bytes),
            sealed: None,
        },
        ObjectKind::Sealed => {
            let attributes = record.header.attributes();
            let sealed = Sealed {
                algorithm: attributes.algorithm,
                raw_enabled: attributes.raw_enabled,
                kad_format: attributes.kad_format,
                kads: kads(&attributes.kads),
            };
            What {
                kind: ENCRYPTED,
                bytes: Some(block_bytes),
                sealed: Some(sealed),
            }
        }
    }
}

/// Splits descriptors: type (1), reserved (1), length (2), data. What does not split is shown whole, not dropped.
fn kads(mut descriptors: &[u8]) -> Vec<Kad> {
    let mut found = Vec::new();
    while let Some((&[kind, _, l0, l1], rest)) = descriptors.split_first_chunk() {
        let Some((data, behind)) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1]))) else {
            break;
        };
        let name = KAD_NAMES
            .get(usize::from(kind))
            .map_or_else(|| format!("KAD type {kind:02X}h"), |name| (*name).to_owned());
        found.push(Kad {
            kind: name,
            hex: Hex(data).to_string(),
        });
        descriptors = behind;
    }
    if !descriptors.is_empty() {
        found.push(Kad {
            kind: "not a descriptor".to_owned(),
            hex: Hex(descriptors).to_string(),
        });
    }
    found
}

const PLAIN: &str = "plain";
const ENCRYPTED: &str = "encrypted";
const FILEMARK: &str = "filemark";
const DAMAGED: &str = "damaged";
/// By descriptor type (SSC-4, "Key descriptor types").
const KAD_NAMES: [&str; 4] = ["U-KAD", "A-KAD", "nonce", "M-KAD"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_descriptors_and_shows_what_does_not_split() {
        let found = kads(&[0, 0, 0, 2, 0x54, 0x4B, 1, 0, 0, 1, 0xFF, 9, 0, 0, 0, 0, 0, 0]);
        let pairs: Vec<_> = found.iter().map(|kad| (kad.kind.as_str(), kad.hex.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("U-KAD", "544B"),
                ("A-KAD", "FF"),
                ("KAD type 09h", ""),
                ("not a descriptor", "000000")
            ]
        );
    }

    #[test]
    fn equal_neighbours_share_a_line() {
        let entry = |object, kind| Entry {
            object,
            file: 0,
            what: What {
                kind,
                bytes: Some(10),
                sealed: None,
            },
        };
        let lines: String = [entry(0, PLAIN), entry(1, ENCRYPTED), entry(2, ENCRYPTED)]
            .chunk_by(|one, next| one.what == next.what)
            .map(line)
            .collect();
        assert_eq!(
            lines.split_whitespace().collect::<Vec<_>>(),
            ["0", "plain", "10", "1-2", "encrypted", "10"]
        );
    }
}
