//! `tapekey-kms init`: a complete KMS in an empty folder. The configuration is written last, so that a half-made one never serves.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;
use time::OffsetDateTime;

use super::audit::{Action, Actor, Event};
use super::config::{self, KmsConfig};
use super::master_key::MasterKeySource;
use super::pki::{Authority, IssuingCa, Leaf, PkiError, certificate_pem, facts, server_under};
use super::seal::HostMasterKey;
use super::store::certificates::NewCertificate;
use super::store::{FirstRecords, StoreError, StoreFile, StorePlace};
use crate::clock::Clock;
use crate::entropy::{Entropy, EntropyError};
use crate::kms_api::{Binding, ClientName, Role};

/// Readable by everybody: certificates and configuration.
pub(super) const PUBLIC: u32 = 0o644;
/// Readable by the owner: keys.
pub(super) const PRIVATE: u32 = 0o600;

/// The folder of a store that is an SQLite file.
pub(super) const STORE: &str = "store";

/// The certificates made for clients.
const CLIENTS: [(&str, Role); 5] = [
    ("admin-1", Role::Admin),
    ("admin-2", Role::Admin),
    ("operator-1", Role::Operator),
    ("auditor-1", Role::Auditor),
    ("media-server-1", Role::MediaServer),
];

/// One thing that `init` made, for the table that it prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Where it is.
    pub path: PathBuf,
    /// What it is for.
    pub what: String,
}

/// A KMS could not be made.
#[derive(Debug, Error)]
pub enum InitError {
    /// There is something already.
    #[error("{path} is not empty\nhint: name a new folder; a KMS is never made over an old one", path = path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder cannot be made.
    #[error("make {path}: {source}\nhint: remove the half-made folder before the next try", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate cannot be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The store cannot be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A file's text cannot be made.
    #[error("write {what}: {source}\nhint: this is a fault of tapekey-kms, please report it")]
    Text {
        /// Which.
        what: &'static str,
        /// What the library said.
        source: toml::ser::Error,
    },
}

/// Makes a KMS in `folder` with store and host master key in it, reachable as this machine and under `hosts`. Returns what it made.
///
/// # Errors
/// [`InitError`]; a folder that is not empty is left as it is.
pub fn init(folder: &Path, hosts: &[String], clock: &dyn Clock, entropy: &dyn Entropy) -> Result<Vec<Made>, InitError> {
    init_at(StorePlace::Folder(STORE.into()), folder, hosts, (clock, entropy))
}

/// The same with its store at `store`.
///
/// # Errors
/// [`InitError`]; a folder that is not empty, and a database that has a store, are left as they are.
pub fn init_at(
    store: StorePlace,
    folder: &Path,
    hosts: &[String],
    (clock, entropy): (&dyn Clock, &dyn Entropy),
) -> Result<Vec<Made>, InitError> {
    let master = HostMasterKey::generate(entropy)?;
    init_under(store, (&master, None), folder, hosts, (clock, entropy))
}

/// The same under a given host master key; `file` if it lies in a file already.
pub(super) fn init_under(
    store: StorePlace,
    (master, file): (&HostMasterKey, Option<&Path>),
    folder: &Path,
    hosts: &[String],
    (clock, entropy): (&dyn Clock, &dyn Entropy),
) -> Result<Vec<Made>, InitError> {
    let now = clock.now();
    let root = Authority::root(now)?;
    let issuing = Authority::issuing(&root, now)?;
    let server = issuing.server(hosts, now)?;
    store.check_free()?;
    let mut config = KmsConfig::initial(store);
    let mut files = Files::in_empty(folder)?;
    config.master_key = match file {
        Some(file) => master.source(file),
        None => files.add_master_key(master)?,
    };
    files.folder("root-ca")?;
    let what = format!("root CA, {}", until(root.not_after()));
    files.add("root-ca/certificate.pem", PUBLIC, &root.certificate_pem(), &what)?;
    files.add(
        "root-ca/key.pem",
        PRIVATE,
        &root.key_pem(),
        "root CA's private key: move it off-line",
    )?;
    let what = format!(
        "issuing CA, {}; its key is sealed in the store",
        until(issuing.not_after())
    );
    files.add(&config.issuing_ca, PUBLIC, &issuing.certificate_pem(), &what)?;
    files.folder("server")?;
    // The root goes along for hosts that enroll: they know it by its fingerprint only.
    let chain = [
        server.certificate_pem,
        issuing.certificate_pem(),
        root.certificate_pem(),
    ]
    .concat();
    files.add(
        &config.server_certificate,
        PUBLIC,
        &chain,
        &format!("server certificate, {}", until(server.not_after)),
    )?;
    files.add(&config.server_key, PRIVATE, &server.key_pem, "server's private key")?;

    let clients = CLIENTS.map(|(name, role)| Ok((name, role, issuing.client(name, role, now)?)));
    let clients: Vec<_> = clients.into_iter().collect::<Result<_, PkiError>>()?;
    make_store(
        &mut files,
        (&config.store, master),
        (&root, &issuing),
        &clients,
        (clock, entropy),
    )?;
    files.folder("clients")?;
    for (name, role, leaf) in clients {
        let bundle = client_toml(hosts, config.listen.port())?;
        add_client(&mut files, name, role, &leaf, &bundle, &root)?;
    }
    files.add_config(&config)?;
    files.finish()
}

/// How the tables of `init` and `restore` say how long a certificate is good.
fn until(not_after: OffsetDateTime) -> String {
    format!("valid until {}", not_after.date())
}

fn make_store(
    files: &mut Files<'_>,
    (store, master): (&StorePlace, &HostMasterKey),
    (root, issuing): (&Authority, &Authority),
    clients: &[(&str, Role, Leaf)],
    (clock, entropy): (&dyn Clock, &dyn Entropy),
) -> Result<(), InitError> {
    if let StorePlace::Folder(store) = store {
        files.folder(store)?;
    }
    let mut event = Event::new(&Actor::local(), Action::Initialise);
    event.detail = Some(format!("under host master key {}", master.id()));
    let ca = IssuingCa {
        certificate: issuing.certificate_der().to_vec(),
        root: root.certificate_der().to_vec(),
        key: issuing.key_der().to_vec().into(),
    };
    let known = clients.iter().filter_map(|(name, role, leaf)| {
        let facts = facts(&leaf.certificate_der)?;
        Some((ClientName::new(*name).ok()?, *role, facts))
    });
    let known: Vec<_> = known.collect();
    let known = known.iter().map(|(name, role, facts)| NewCertificate {
        facts,
        name,
        role: *role,
        // There is no group yet that it could be bound to.
        binding: (*role == Role::MediaServer).then_some(Binding::AllGroups),
        issued_by: "local",
    });
    let first = FirstRecords {
        ca: &ca,
        clients: known.collect(),
        event: &event,
    };
    let place = store.clone().within(files.root);
    StoreFile::create(&place, master, first, (entropy, clock.now()))?;
    if let StorePlace::Folder(store) = store {
        files.note(store.clone(), "store: groups, keys and audit chain");
    }
    Ok(())
}

fn add_client(
    files: &mut Files<'_>,
    name: &str,
    role: Role,
    leaf: &Leaf,
    bundle: &str,
    root: &Authority,
) -> Result<(), InitError> {
    let folder = Path::new("clients").join(name);
    files.folder(&folder)?;
    files.write(&folder.join("certificate.pem"), PUBLIC, &leaf.certificate_pem)?;
    files.write(&folder.join("key.pem"), PRIVATE, &leaf.key_pem)?;
    files.write(&folder.join("ca.pem"), PUBLIC, &root.certificate_pem())?;
    files.write(&folder.join("client.toml"), PUBLIC, bundle)?;
    let groups = if role == Role::MediaServer {
        " of all groups"
    } else {
        ""
    };
    let what = format!("bundle for one {role}{groups}, valid until {}", leaf.not_after.date());
    files.made.push(Made {
        path: files.root.join(&folder),
        what,
    });
    Ok(())
}

#[derive(Serialize)]
struct Bundle {
    addresses: Vec<String>,
    ca: &'static str,
    certificate: &'static str,
    key: &'static str,
}

fn client_toml(hosts: &[String], port: u16) -> Result<String, InitError> {
    let local = ["localhost".to_owned()];
    let hosts = if hosts.is_empty() { local.as_slice() } else { hosts };
    let address = |host: &String| match host.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("https://[{address}]:{port}"),
        Err(_) => format!("https://{host}:{port}"),
    };
    let bundle = Bundle {
        addresses: hosts.iter().map(address).collect(),
        ca: "ca.pem",
        certificate: "certificate.pem",
        key: "key.pem",
    };
    let text = toml::to_string(&bundle).map_err(|source| InitError::Text {
        what: "client.toml",
        source,
    })?;
    Ok(format!(
        "# How a client reaches this KMS; addresses are tried in order. Paths are relative to this file's folder.\n{text}"
    ))
}

/// Makes files, never over others, and on the disk before `finish` returns.
pub(super) struct Files<'a> {
    root: &'a Path,
    made: Vec<Made>,
    folders: Vec<PathBuf>,
}

impl<'a> Files<'a> {
    pub(super) fn in_empty(root: &'a Path) -> Result<Self, InitError> {
        let failed = |source| InitError::File {
            path: root.to_owned(),
            source,
        };
        match DirBuilder::new().recursive(true).mode(0o750).create(root) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(InitError::NotEmpty { path: root.to_owned() });
            }
            Err(source) => return Err(failed(source)),
        }
        if fs::read_dir(root).map_err(failed)?.next().is_some() {
            return Err(InitError::NotEmpty { path: root.to_owned() });
        }
        Ok(Self {
            root,
            made: Vec::new(),
            folders: vec![root.to_owned()],
        })
    }

    pub(super) fn folder(&mut self, path: impl AsRef<Path>) -> Result<(), InitError> {
        let path = self.root.join(path);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|source| InitError::File {
            path: path.clone(),
            source,
        })?;
        self.folders.push(path);
        Ok(())
    }

    pub(super) fn add(
        &mut self,
        path: impl AsRef<Path>,
        mode: u32,
        content: &str,
        what: &str,
    ) -> Result<(), InitError> {
        self.write(path.as_ref(), mode, content)?;
        self.made.push(Made {
            path: self.root.join(path),
            what: what.to_owned(),
        });
        Ok(())
    }

    /// The host master key, if it is one that lies in a file; and where it comes from.
    pub(super) fn add_master_key(&mut self, master: &HostMasterKey) -> Result<MasterKeySource, InitError> {
        let source = master.source(Path::new(config::MASTER_KEY_FILE));
        if let MasterKeySource::File(path) = &source {
            let what = "host master key: seals the store; keep a copy elsewhere";
            self.add(path, PRIVATE, &master.to_file_text(), what)?;
        }
        Ok(source)
    }

    /// The configuration, which makes the folder a KMS: last of all.
    pub(super) fn add_config(&mut self, config: &KmsConfig) -> Result<(), InitError> {
        let text = toml::to_string(config).map_err(|source| InitError::Text {
            what: config::FILE,
            source,
        })?;
        let text = format!("# Configuration of tapekey-kms. Paths are relative to this file's folder.\n{text}");
        self.add(config::FILE, PUBLIC, &text, "configuration of the service")
    }

    /// What a node has besides its store: host master key, issuing CA, a new server certificate, configuration.
    pub(super) fn add_node(
        &mut self,
        mut config: KmsConfig,
        master: &HostMasterKey,
        ca: &IssuingCa,
        hosts: &[String],
        now: OffsetDateTime,
    ) -> Result<(), InitError> {
        let server = server_under(&ca.certificate, &ca.key, hosts, now)?;
        let authority = certificate_pem(&ca.certificate);
        config.master_key = self.add_master_key(master)?;
        self.add(&config.issuing_ca, PUBLIC, &authority, "issuing CA, out of the store")?;
        self.folder("server")?;
        let chain = format!("{}{authority}{}", server.certificate_pem, certificate_pem(&ca.root));
        let what = format!("new server certificate, {}", until(server.not_after));
        self.add(&config.server_certificate, PUBLIC, &chain, &what)?;
        self.add(&config.server_key, PRIVATE, &server.key_pem, "server's private key")?;
        self.add_config(&config)
    }

    /// Lists something that was made by other means.
    pub(super) fn note(&mut self, path: PathBuf, what: &str) {
        self.made.push(Made {
            path: self.root.join(path),
            what: what.to_owned(),
        });
    }

    fn write(&self, path: &Path, mode: u32, content: &str) -> Result<(), InitError> {
        let path = self.root.join(path);
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
            file.write_all(content.as_bytes())?;
            file.sync_all()
        })();
        written.map_err(|source| InitError::File { path, source })
    }

    pub(super) fn finish(self) -> Result<Vec<Made>, InitError> {
        for path in self.folders.iter().rev() {
            let synced = File::open(path).and_then(|folder| folder.sync_all());
            synced.map_err(|source| InitError::File {
                path: path.clone(),
                source,
            })?;
        }
        Ok(self.made)
    }
}
