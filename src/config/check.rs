//! From what was typed to what it means. Every rule says which key broke it and what to write instead.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::problem::Problems;
use super::raw::{RawConfig, RawControl, RawDevice, RawKms, RawPlainBlocks, RawPolicy, RawPool, RawScope};
use super::{
    Config, ConfigError, ControlConfig, ControlGroup, DEFAULT_SOCKET, DeviceConfig, DevicePath, KeyScope, KmsConfig,
    PlainBlocks, Policy, files,
};

/// Prefix of the pools whose blocks are encrypted.
const ENCRYPTED_PREFIX: &str = "ENCR_";
const DEFAULT_STATE_DIRECTORY: &str = "/var/lib/tapekey";
const DEFAULT_NEXUS: &str = "tapekey-host";
const DEFAULT_TIMEOUT_MS: u64 = 10_000;
const TIMEOUT_MS_MIN: u64 = 100;
const TIMEOUT_MS_MAX: u64 = 120_000;
/// Real drives queue a command behind another host's LOCATE, which takes minutes at worst.
const DEFAULT_COMMAND_TIMEOUT_MS: u64 = 60_000;
const COMMAND_TIMEOUT_MS_MIN: u64 = 1_000;
const COMMAND_TIMEOUT_MS_MAX: u64 = 600_000;
const ADDRESSES_MAX: usize = 16;
const DEVICES_MAX: usize = 1024;
const NAME_LENGTH_MAX: usize = 32;
const POOL_LENGTH_MAX: usize = 64;
const NEXUS_LENGTH_MAX: usize = 64;

pub(super) fn check(file: &Path, raw: RawConfig) -> Result<Config, ConfigError> {
    let mut problems = Problems::default();
    let state_directory = raw
        .state_directory
        .unwrap_or_else(|| PathBuf::from(DEFAULT_STATE_DIRECTORY));
    files::private_directory(&mut problems, "state_directory", &state_directory);
    let allow_simulated = raw.allow_simulated_drives;
    // Sections are of ENCR_ pools alone.
    let hold = !raw.pool.is_empty();
    let config = Config {
        state_directory,
        drives: devices(&mut problems, DRIVE, raw.drive, allow_simulated, hold),
        libraries: devices(&mut problems, LIBRARY, raw.library, allow_simulated, false),
        kms: raw.kms.map(|raw| kms(&mut problems, raw)),
        control: control(&mut problems, raw.control),
        policy: policy(&mut problems, &raw.policy, raw.pool),
    };
    problems.none_or(file.into(), config)
}

/// What the sections of drives and of libraries are called, in the file and to people.
const DRIVE: &str = "drive";
const LIBRARY: &str = "library";

fn devices(
    problems: &mut Problems,
    kind: &'static str,
    raw: Vec<RawDevice>,
    allow_simulated: bool,
    hold: bool,
) -> Vec<DeviceConfig> {
    if raw.len() > DEVICES_MAX {
        problems.add(
            kind,
            format!("{} sections, at most {DEVICES_MAX}", raw.len()),
            "use a second host",
        );
    }
    let (mut names, mut paths, mut serials) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut devices = Vec::new();
    for section in raw {
        let key = format!("{kind} {:?}", section.name);
        name(problems, &key, &section.name);
        let path = section.path.as_ref().or(section.socket.as_ref());
        let mut twice = |is_twice: bool, what: String, hint: &str| {
            if is_twice {
                problems.add(&key, what, hint);
            }
        };
        twice(
            !names.insert(section.name.clone()),
            format!("two sections of a {kind} have this name"),
            "give each its own name",
        );
        twice(
            path.is_some_and(|path| !paths.insert(path.clone())),
            format!(
                "two have the path {}",
                path.map(|path| path.display().to_string()).unwrap_or_default()
            ),
            "name each once",
        );
        twice(
            section
                .serial
                .as_ref()
                .is_some_and(|serial| !serials.insert(serial.clone())),
            format!(
                "two have the serial number {}",
                section.serial.as_deref().unwrap_or_default()
            ),
            "name each once",
        );
        let wants_hold = section.hold;
        let simulated = section.socket.is_some();
        let mut found = device(problems, kind, &key, section, allow_simulated);
        if let Some(device) = &mut found {
            device.hold = held(problems, kind, &key, wants_hold, simulated).unwrap_or(hold && !simulated);
        }
        devices.extend(found);
    }
    devices
}

fn device(
    problems: &mut Problems,
    kind: &'static str,
    key: &str,
    raw: RawDevice,
    allow_simulated: bool,
) -> Option<DeviceConfig> {
    if let Some(serial) = &raw.serial
        && (serial.trim().is_empty() || !serial.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        problems.add(
            format!("{key}: serial"),
            format!("{serial:?} is no serial number"),
            "copy it from tapekey drive list or tapekey library show",
        );
    }
    let path = match (raw.path, raw.socket) {
        (None, None) if raw.serial.is_some() => by_serial(problems, key, raw.serial.clone(), raw.nexus),
        (Some(path), None) => node(problems, key, path, raw.nexus),
        (None, Some(socket)) => {
            if !allow_simulated {
                let what = format!("{} is a simulated {kind}, and those are not allowed", socket.display());
                let hint = "a test host may say allow_simulated_drives = true, no other";
                problems.add(format!("{key}: socket"), what, hint);
            }
            simulator(problems, key, socket, raw.nexus)
        }
        (Some(_), Some(_)) => {
            let hint = format!("keep path for a real {kind}, socket for a simulated one");
            problems.add(key, "both path and socket are given", hint);
            None
        }
        (None, None) => {
            let hint = format!("add the serial number, as tapekey {kind} list shows it");
            problems.add(
                key,
                "neither serial nor path nor socket is given",
                hint.replace("library list", "library show"),
            );
            None
        }
    };
    let timeout_ms = raw.command_timeout_ms.unwrap_or(DEFAULT_COMMAND_TIMEOUT_MS);
    if !(COMMAND_TIMEOUT_MS_MIN..=COMMAND_TIMEOUT_MS_MAX).contains(&timeout_ms) {
        let hint = format!("choose {COMMAND_TIMEOUT_MS_MIN} to {COMMAND_TIMEOUT_MS_MAX} milliseconds, or leave it out");
        problems.add(
            format!("{key}: command_timeout_ms"),
            format!("{timeout_ms} is out of range"),
            hint,
        );
    }
    path.map(|path| DeviceConfig {
        name: raw.name,
        path,
        serial: raw.serial,
        command_timeout: Duration::from_millis(timeout_ms),
        hold: false,
    })
}

/// Whether the section itself says if the drive is held.
fn held(problems: &mut Problems, kind: &str, key: &str, wanted: Option<bool>, simulated: bool) -> Option<bool> {
    if wanted.is_some() && kind == LIBRARY {
        problems.add(format!("{key}: hold"), "only drives are held", "remove it");
    } else if wanted == Some(true) && simulated {
        let what = "a simulated drive has no tape node of the kernel that could be held";
        problems.add(format!("{key}: hold"), what, "remove it");
    }
    wanted
}

fn by_serial(problems: &mut Problems, key: &str, serial: Option<String>, nexus: Option<String>) -> Option<DevicePath> {
    no_nexus(problems, key, nexus.as_deref());
    serial.map(DevicePath::Serial)
}

fn no_nexus(problems: &mut Problems, key: &str, nexus: Option<&str>) {
    if nexus.is_some() {
        let hint = "remove it: a real drive's nexus follows from the host's port";
        problems.add(
            format!("{key}: nexus"),
            "a nexus can be named only for a simulated drive or library",
            hint,
        );
    }
}

fn node(problems: &mut Problems, key: &str, path: PathBuf, nexus: Option<String>) -> Option<DevicePath> {
    no_nexus(problems, key, nexus.as_deref());
    files::absolute(problems, &format!("{key}: path"), &path).then_some(DevicePath::Node(path))
}

fn simulator(problems: &mut Problems, key: &str, socket: PathBuf, nexus: Option<String>) -> Option<DevicePath> {
    files::socket(problems, &format!("{key}: socket"), &socket);
    let nexus = nexus.unwrap_or_else(|| DEFAULT_NEXUS.into());
    if nexus.is_empty() || nexus.len() > NEXUS_LENGTH_MAX || !nexus.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = format!("{nexus:?} is no name of a nexus");
        problems.add(
            format!("{key}: nexus"),
            what,
            format!("use 1 to {NEXUS_LENGTH_MAX} printable characters"),
        );
    }
    Some(DevicePath::Simulator { socket, nexus })
}

fn name(problems: &mut Problems, key: &str, name: &str) {
    let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    if name.is_empty() || name.len() > NAME_LENGTH_MAX || !name.chars().all(allowed) || name.starts_with('-') {
        let hint = format!("use 1 to {NAME_LENGTH_MAX} of letters, digits, '.', '_' and '-'");
        problems.add(format!("{key}: name"), "this cannot be a name", hint);
    }
}

fn kms(problems: &mut Problems, raw: RawKms) -> KmsConfig {
    if raw.addresses.is_empty() || raw.addresses.len() > ADDRESSES_MAX {
        let what = format!("{} addresses are given", raw.addresses.len());
        problems.add(
            "kms.addresses",
            what,
            format!("give 1 to {ADDRESSES_MAX}, as [\"https://kms1.example.org:8443\"]"),
        );
    }
    let mut seen = BTreeSet::new();
    for address in &raw.addresses {
        if !is_address(address) {
            problems.add(
                "kms.addresses",
                format!("{address:?} is no address of a KMS"),
                "write it as \"https://kms1.example.org:8443\"",
            );
        }
        if !seen.insert(address) {
            problems.add(
                "kms.addresses",
                format!("{address:?} is there twice"),
                "name each node of the KMS once",
            );
        }
    }
    files::readable(problems, "kms.ca", &raw.ca);
    files::readable(problems, "kms.certificate", &raw.certificate);
    files::secret(problems, "kms.key", &raw.key);
    let timeout_ms = raw.timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS);
    if !(TIMEOUT_MS_MIN..=TIMEOUT_MS_MAX).contains(&timeout_ms) {
        let hint = format!("choose {TIMEOUT_MS_MIN} to {TIMEOUT_MS_MAX} milliseconds");
        problems.add("kms.timeout_ms", format!("{timeout_ms} is out of range"), hint);
    }
    KmsConfig {
        addresses: raw.addresses,
        ca: raw.ca,
        certificate: raw.certificate,
        key: raw.key,
        timeout: Duration::from_millis(timeout_ms),
    }
}

fn is_address(address: &str) -> bool {
    let Some(authority) = address.strip_prefix("https://") else {
        return false;
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, "443"),
    };
    let host_in_form = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(literal) => literal.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || matches!(character, '.' | '-')),
    };
    host_in_form && !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
}

fn control(problems: &mut Problems, raw: RawControl) -> ControlConfig {
    let socket = raw.socket.unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET));
    files::socket(problems, "control.socket", &socket);
    let group = raw.group.and_then(|name| match nix::unistd::Group::from_name(&name) {
        Ok(Some(group)) => Some(ControlGroup {
            name,
            gid: group.gid.as_raw(),
        }),
        Ok(None) => {
            problems.add(
                "control.group",
                format!("there is no group {name:?}"),
                format!("groupadd --system {name}"),
            );
            None
        }
        Err(error) => {
            problems.add(
                "control.group",
                format!("look up group {name:?}: {error}"),
                "see getent group",
            );
            None
        }
    });
    ControlConfig { socket, group }
}

fn policy(problems: &mut Problems, raw: &RawPolicy, raw_pools: Vec<RawPool>) -> Policy {
    let plain_blocks = raw.plain_blocks.map_or(PlainBlocks::Refuse, checked_plain_blocks);
    let mut pools: Vec<(String, PlainBlocks)> = Vec::new();
    for pool in raw_pools {
        let key = format!("pool {:?}", pool.name);
        pool_name(problems, &key, &pool.name);
        if pools.iter().any(|(name, _)| *name == pool.name) {
            problems.add(&key, "two pools have this name", "keep one section for each pool");
        }
        pools.push((pool.name, pool.plain_blocks.map_or(plain_blocks, checked_plain_blocks)));
    }
    let scope = match raw.scope {
        None | Some(RawScope::AllItNexus) => KeyScope::AllItNexus,
        Some(RawScope::Local) => KeyScope::Local,
    };
    Policy {
        finish_volumes: raw.finish_volumes.unwrap_or(true),
        scope,
        plain_blocks,
        pools,
    }
}

fn pool_name(problems: &mut Problems, key: &str, name: &str) {
    if !name.starts_with(ENCRYPTED_PREFIX) {
        let hint = "remove the section: blocks of a plain pool are always plain";
        problems.add(key, "only pools with the prefix ENCR_ have settings", hint);
    }
    if name.len() > POOL_LENGTH_MAX || !name.chars().all(in_pool_names) {
        let hint = format!("use at most {POOL_LENGTH_MAX} letters, digits and any of . _ + : -");
        problems.add(key, "this cannot be the name of a pool", hint);
    }
}

/// The characters that key groups, which have the pools' names, may have.
fn in_pool_names(character: char) -> bool {
    character.is_ascii_alphanumeric() || "._+:-".contains(character)
}

fn checked_plain_blocks(raw: RawPlainBlocks) -> PlainBlocks {
    match raw {
        RawPlainBlocks::Refuse => PlainBlocks::Refuse,
        RawPlainBlocks::Allow => PlainBlocks::Allow,
    }
}
