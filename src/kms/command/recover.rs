//! `tapekey-kms recover`: from a kit or a passphrase to the key of one volume, without a service. The key goes to a file descriptor and
//! nowhere else; what people read goes to standard error.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use serde::Serialize;

use super::{Done, Machine, print_made};
use crate::clock::to_text;
use crate::kad::{BlockKads, KeyId};
use crate::kms::kit::into::make_kms;
use crate::kms::kit::recover::{Found, RecoverError, Recovered, from_kit, from_passphrase};
use crate::kms::kit::{Collector, Contents, Given, Head, SealedKit, next_line, read};
use crate::kms_api::{GroupRecord, KadMatch, KeyRecord};
use crate::secret::DataKey;
use crate::terminal::passphrase::{Source, ask_known};

/// The descriptor of standard error, which carries messages.
const STANDARD_ERROR: u32 = 2;

/// What `recover` is told.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("from").required(true).args(["kit", "passphrase_key"]))]
#[command(group = ArgGroup::new("what").required(true).args(["key_fd", "list", "into"]))]
pub(super) struct RecoverArguments {
    /// The kit: its file, or what a scanner made of it; - to type its lines
    #[arg(long, value_name = "FILE")]
    kit: Option<PathBuf>,
    /// Without a kit: the key was made of a passphrase, which with the KAD is enough
    #[arg(long, conflicts_with = "list")]
    passphrase_key: bool,
    /// The KAD of the volume, as tapekey unlock prints it
    #[arg(long, value_name = "HEX", value_parser = kad, conflicts_with = "list")]
    kad: Option<Kad>,
    /// The authenticated KAD, which only other software writes
    #[arg(long, value_name = "HEX", value_parser = kad, conflicts_with = "list")]
    a_kad: Option<Kad>,
    /// Take this key of those that a KAD of other software names
    #[arg(long, value_name = "UUID", value_parser = key_id, requires = "kit", conflicts_with = "list")]
    key: Option<KeyId>,
    /// Write the volume's key, 32 bytes, to this file descriptor: 1 if it is a pipe, or 3 and up
    #[arg(long, value_name = "N")]
    key_fd: Option<u32>,
    /// Read the passphrase from this file descriptor instead of the terminal
    #[arg(long, value_name = "N")]
    passphrase_fd: Option<u32>,
    /// Show what is in the kit, without any key
    #[arg(long, requires = "kit")]
    list: bool,
    /// Make a whole new KMS of the kit in this folder, which must be empty or not exist
    #[arg(long, value_name = "DIR", requires = "kit", conflicts_with_all = ["kad", "a_kad", "key"])]
    into: Option<PathBuf>,
    /// A name or address under which hosts reach the new KMS (repeatable); it goes into the server's certificate
    #[arg(long = "host", value_name = "NAME", requires = "into")]
    hosts: Vec<String>,
    /// Print the list as JSON
    #[arg(long, requires = "list")]
    json: bool,
}

/// Bytes given in hex.
#[derive(Debug, Clone)]
struct Kad(Vec<u8>);

fn kad(text: &str) -> Result<Kad, String> {
    let digits: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    hex::decode(digits)
        .map(Kad)
        .map_err(|error| format!("a KAD is given in hex: {error}"))
}

fn key_id(text: &str) -> Result<KeyId, String> {
    uuid::Uuid::try_parse(text)
        .map(|uuid| KeyId(uuid.into_bytes()))
        .map_err(|error| format!("a key id is a UUID: {error}"))
}

pub(super) async fn run(
    arguments: &RecoverArguments,
    machine: Machine,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Done {
    if let Some(folder) = &arguments.into {
        let (kit, contents) = opened(arguments, err)?;
        return into(arguments, folder, (kit.head(), contents), machine, out).await;
    }
    let Some(descriptor) = arguments.key_fd else {
        let (kit, contents) = opened(arguments, err)?;
        return list(kit.head(), &contents, arguments.json, out);
    };
    // Everything that can be wrong with the command line is said before anybody types a passphrase.
    let to = open_for_key(descriptor)?;
    let kads = kads(arguments)?;
    let key = if arguments.passphrase_key {
        let passphrase = ask_known(source(arguments), "Passphrase of the key: ")?;
        let key = from_passphrase(&passphrase, &kads)?;
        writeln!(
            err,
            "tapekey-kms: the passphrase gives the key of this tape: its check value agrees"
        )?;
        key
    } else {
        let (_, contents) = opened(arguments, err)?;
        chosen(from_kit(contents, &kads)?, arguments.key, err)?
    };
    hand_over(&key, to, descriptor)
}

async fn into(
    arguments: &RecoverArguments,
    folder: &Path,
    (head, contents): (&Head, Contents),
    machine: Machine,
    out: &mut dyn Write,
) -> Done {
    let made = make_kms(
        (head, contents),
        folder,
        &arguments.hosts,
        machine.clock,
        machine.entropy,
    )
    .await?;
    print_made(&made, out)?;
    let folder = folder.display();
    writeln!(
        out,
        "\nMade a new KMS with {} groups and {} keys as of {}.",
        head.groups,
        head.keys,
        to_text(head.made)
    )?;
    writeln!(out, "What to do next:")?;
    writeln!(
        out,
        "  1. Give each bundle under {folder}/clients to its holder: those of the lost KMS are good no longer."
    )?;
    writeln!(
        out,
        "  2. Move {folder}/root-ca/key.pem off-line, and keep a copy of the host master key apart from copies of the store."
    )?;
    writeln!(out, "  3. Start the service: tapekey-kms serve {folder}")?;
    writeln!(
        out,
        "  4. Take a snapshot on another disk, or make a new kit: this one counts for no key of the new store."
    )?;
    writeln!(
        out,
        "  5. Activate a key in each group that has none: prelive keys became inactive, since they may have been used after the kit. What was rotated by age is so again, once kms.toml names a place for snapshots."
    )?;
    writeln!(
        out,
        "  6. Add the external servers, if there were any: they are in no kit. Groups that were bound to one still are, and write nothing before it is there again (tapekey kms server add) or they are bound otherwise (tapekey kms group bind); all other groups get new keys from the new store until then."
    )?;
    out.flush()?;
    Ok(())
}

fn source(arguments: &RecoverArguments) -> Source {
    Source::descriptor_or_terminal(arguments.passphrase_fd)
}

fn kads(arguments: &RecoverArguments) -> Result<BlockKads, RecoverError> {
    let bytes = |kad: &Option<Kad>| kad.as_ref().map(|kad| kad.0.clone()).unwrap_or_default();
    let kads = BlockKads {
        unauthenticated: bytes(&arguments.kad),
        authenticated: bytes(&arguments.a_kad),
    };
    if kads.unauthenticated.is_empty() && kads.authenticated.is_empty() {
        return Err(RecoverError::NoKad);
    }
    Ok(kads)
}

/// The kit that was named, and what is in it.
fn opened(
    arguments: &RecoverArguments,
    err: &mut dyn Write,
) -> Result<(SealedKit, Contents), Box<dyn std::error::Error>> {
    let path = arguments.kit.as_deref().unwrap_or(Path::new("-"));
    let kit = if path == Path::new("-") {
        typed(&mut io::stdin().lock(), io::stdin().is_terminal(), err)?
    } else {
        let file = File::open(path).map_err(|error| {
            format!(
                "read kit {}: {error}\nhint: name the kit's file, or - to type its lines",
                path.display()
            )
        })?;
        read(&mut BufReader::new(file), path)?
    };
    let (head, mark) = (kit.head(), kit.head().mark());
    writeln!(
        err,
        "tapekey-kms: kit {mark} of {}: {} groups, {} keys; every line fits",
        to_text(head.made),
        head.groups,
        head.keys
    )?;
    let passphrase = ask_known(source(arguments), &format!("Passphrase of kit {mark}: "))?;
    let contents = kit.open(&passphrase)?;
    Ok((kit, contents))
}

/// Reads lines as a person types them; says at once which is wrong, and needs no end once all are there.
fn typed(from: &mut impl BufRead, person: bool, err: &mut dyn Write) -> Result<SealedKit, Box<dyn std::error::Error>> {
    if person {
        writeln!(
            err,
            "Type the lines of the kit, in any order; a wrong one can be typed again. Ctrl-D ends before the last."
        )?;
    }
    let mut collector = Collector::default();
    while let Some(line) = next_line(from)? {
        match collector.take(&line) {
            Given::Wrong(what) if person => writeln!(err, "wrong: {what}")?,
            Given::Line(number) if person => writeln!(err, "line {number} fits")?,
            _ => {}
        }
        if collector.is_complete() && person {
            break;
        }
    }
    Ok(collector.finish()?)
}

/// Opens the descriptor that the key is for. No terminal, and not where messages go.
fn open_for_key(descriptor: u32) -> Result<File, String> {
    let refused = |why: &str| {
        format!(
            "write the key to file descriptor {descriptor}: {why}\nhint: send it to where it is used: --key-fd 1 | tapekey unlock DRIVE --key-fd 0"
        )
    };
    if descriptor == 0 || descriptor == STANDARD_ERROR {
        return Err(refused("it is not for output of this kind"));
    }
    let file = OpenOptions::new()
        .write(true)
        .open(format!("/dev/fd/{descriptor}"))
        .map_err(|error| refused(&error.to_string()))?;
    let kind = file
        .metadata()
        .map_err(|error| refused(&error.to_string()))?
        .file_type();
    if kind.is_char_device() || kind.is_block_device() {
        return Err(refused("it is a terminal or another device"));
    }
    if descriptor <= STANDARD_ERROR && !kind.is_fifo() {
        return Err(refused("standard output must be a pipe to get a key"));
    }
    Ok(file)
}

/// The one key to hand over: our KAD names one; of several that other software's KAD names, the best or the one asked for.
fn chosen(
    mut found: Vec<Recovered>,
    wanted: Option<KeyId>,
    err: &mut dyn Write,
) -> Result<DataKey, Box<dyn std::error::Error>> {
    for one in &found {
        writeln!(err, "tapekey-kms: {}", in_words(one))?;
    }
    let several = found.len() > 1;
    let at = match wanted {
        Some(id) => found.iter().position(|one| one.record.id == id),
        None => Some(0),
    };
    let Some(one) = at.filter(|at| *at < found.len()).map(|at| found.swap_remove(at)) else {
        return Err(match wanted {
            Some(id) => RecoverError::NotNamed { id }.into(),
            None => RecoverError::NoKad.into(),
        });
    };
    if several {
        writeln!(
            err,
            "tapekey-kms: giving key {}; if the drive says that it does not fit, name another one with --key",
            one.record.id
        )?;
    }
    Ok(one.key)
}

fn in_words(one: &Recovered) -> String {
    let KeyRecord {
        id, name, group, state, ..
    } = &one.record;
    let how = match one.found {
        Found::Checked => "the check value of the KAD agrees",
        Found::Named(KadMatch::Exact) => "was imported with this KAD",
        Found::Named(KadMatch::KeyId) => "has the KAD as its id",
        Found::Named(KadMatch::ButForPadding) => "was imported with this KAD but for padding",
    };
    format!("key {name} of group {group} ({state}, id {id}): {how}")
}

fn hand_over(key: &DataKey, mut to: File, descriptor: u32) -> Done {
    to.write_all(key.expose()).map_err(|error| {
        format!(
            "write the key to file descriptor {descriptor}: {error}\nhint: the program that was to read it has ended; see what it says"
        )
    })?;
    Ok(())
}

/// What is in a kit, without its keys.
#[derive(Serialize)]
struct Listed<'a> {
    id: String,
    mark: String,
    #[serde(with = "time::serde::rfc3339")]
    made: crate::clock::Timestamp,
    store: String,
    groups: Vec<&'a GroupRecord>,
    keys: Vec<&'a KeyRecord>,
}

fn list(head: &Head, contents: &Contents, json: bool, out: &mut dyn Write) -> Done {
    let listed = Listed {
        id: head.id.to_string(),
        mark: head.mark(),
        made: head.made,
        store: head.store.to_string(),
        groups: contents.groups.iter().map(|group| &group.record).collect(),
        keys: contents
            .groups
            .iter()
            .flat_map(|group| group.keys.iter().map(|key| &key.record))
            .collect(),
    };
    if json {
        serde_json::to_writer_pretty(&mut *out, &listed)?;
        writeln!(out)?;
    } else {
        table(&listed.keys, out)?;
    }
    out.flush()?;
    Ok(())
}

fn table(keys: &[&KeyRecord], out: &mut dyn Write) -> io::Result<()> {
    let headings = ["GROUP", "KEY", "STATE", "ID", "ORIGIN", "CREATED"].map(str::to_owned);
    let row = |key: &&KeyRecord| {
        [
            key.group.to_string(),
            key.name.to_string(),
            key.state.to_string(),
            key.id.to_string(),
            key.origin.to_string(),
            to_text(key.created),
        ]
    };
    let rows: Vec<[String; 6]> = std::iter::once(headings).chain(keys.iter().map(row)).collect();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(String::len)
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..6).map(width).collect();
    rows.iter().try_for_each(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())
    })
}
