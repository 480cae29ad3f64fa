//! Our side: stores of a given size, the real program serving them, and a client that believes no reply unchecked.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tapekey::clock::{Clock, Timestamp};
use tapekey::entropy::{Entropy, EntropyError};
use tapekey::kad::KeyKind;
use tapekey::kms::audit::Actor;
use tapekey::kms::config::KmsConfig;
use tapekey::kms::init::init;
use tapekey::kms::seal::HostMasterKey;
use tapekey::kms::service::Kms;
use tapekey::kms::store::StoreFile;
use tapekey::kms_api::{
    BackupKeyRequest, CreateGroup, CreateKey, GroupName, Purpose, RestoreKeysRequest, RotateGroup, VolumeName,
};
use tapekey::kms_client::{ClientConfig, KmsClient};
use tapekey::secret::DataKey;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::{bare, in_milliseconds};

/// A volume whose key can be asked for: its KAD and its key.
#[derive(Clone)]
pub(super) struct Volume {
    kad: Vec<u8>,
    key: Arc<DataKey>,
}

struct WallClock(Instant);

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::now_utc()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

struct KernelEntropy;

impl Entropy for KernelEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(bytes).unwrap();
        Ok(())
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(WallClock(Instant::now()))
}

fn group(number: usize) -> GroupName {
    GroupName::new(format!("ENCR_{number}")).unwrap()
}

fn open(folder: &Path) -> Kms {
    let config = KmsConfig::read(folder).unwrap();
    let master = HostMasterKey::read(&folder.join("host-master.key")).unwrap();
    let file = StoreFile::open(&config.store, &master).unwrap();
    Kms::start(file, clock(), Arc::new(KernelEntropy)).unwrap()
}

/// Milliseconds until the store in `folder` can be asked.
pub(super) fn cold_start(folder: &Path) -> f64 {
    let begun = Instant::now();
    let kms = open(folder);
    let took = in_milliseconds(begun.elapsed());
    drop(kms);
    took
}

/// Makes a KMS with `keys` keys in `groups` groups, and gets a key for a volume of each group.
pub(super) fn make(folder: &Path, keys: usize, groups: usize) -> Vec<Volume> {
    init(folder, &[], &*clock(), &KernelEntropy).unwrap();
    allow_any_number(folder);
    let kms = Arc::new(open(folder));
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        for number in 0..groups {
            add_group(&kms, number).await;
        }
        // As many at once as share a commit.
        let (next, mut tasks) = (Arc::new(AtomicUsize::new(groups)), JoinSet::new());
        for _ in 0..64 {
            let (kms, next) = (kms.clone(), next.clone());
            tasks.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= keys {
                        return;
                    }
                    create(&kms, group(number % groups)).await;
                }
            });
        }
        tasks.join_all().await;
    });
    let volumes = volumes_of(&kms, &runtime, groups);
    record_answer(folder, &kms, &runtime, &volumes[0]);
    volumes
}

/// One client plays all hosts at once here, so the limits of one certificate must not hold it.
fn allow_any_number(folder: &Path) {
    let path = folder.join("kms.toml");
    let mut config: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
    let limits = config["limits"].as_table_mut().unwrap();
    for name in ["requests_per_second", "requests_burst"] {
        limits.insert(name.to_owned(), i64::from(u32::MAX).into());
    }
    limits.insert("connections_per_client".to_owned(), 1000.into());
    std::fs::write(&path, config.to_string()).unwrap();
}

async fn add_group(kms: &Arc<Kms>, number: usize) {
    let wanted = CreateGroup {
        name: group(number),
        kind: KeyKind::Derived,
        purpose: Purpose::Tape,
        description: String::new(),
    };
    kms.create_group(&Actor::local(), wanted).await.unwrap();
    let rotate = RotateGroup {
        name: None,
        single_copy: true,
    };
    kms.rotate_group(&Actor::local(), group(number), rotate).await.unwrap();
}

async fn create(kms: &Kms, group: GroupName) {
    let wanted = CreateKey {
        name: None,
        description: String::new(),
    };
    kms.create_key(&Actor::local(), group, wanted).await.unwrap();
}

fn volumes_of(kms: &Kms, runtime: &Runtime, groups: usize) -> Vec<Volume> {
    let one = |number| {
        let request = BackupKeyRequest {
            purpose: Purpose::Tape,
            group: group(number),
            volume: VolumeName::new("000001L8").unwrap(),
        };
        let answer = runtime.block_on(kms.backup_key(&Actor::local(), request)).unwrap();
        Volume {
            kad: answer.kad.encode().to_vec(),
            key: Arc::new(answer.key),
        }
    };
    (0..groups).map(one).collect()
}

/// Creates keys one after the other.
pub(super) struct Creating {
    kms: Kms,
    runtime: Runtime,
}

impl Creating {
    pub(super) fn in_store(folder: &Path) -> Self {
        Self {
            kms: open(folder),
            runtime: Runtime::new().unwrap(),
        }
    }

    pub(super) fn create(&mut self) {
        self.runtime.block_on(create(&self.kms, group(0)));
    }
}

/// A server in a process of its own.
pub(super) struct Service {
    child: Child,
    address: String,
    folder: PathBuf,
    asker: Option<Asker>,
}

impl Service {
    /// The real one.
    pub(super) fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapekey-kms"));
        command.args(["serve", "--listen", "127.0.0.1:0"]).arg(folder);
        Self::spawn(command.env("TAPEKEY_LOG", "warn"), folder)
    }

    /// One that always sends what the real one answered for the first volume.
    pub(super) fn start_bare(folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        Self::spawn(command.arg(bare::SERVE).arg(folder), folder)
    }

    fn spawn(command: &mut Command, folder: &Path) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        let said = child.stdout.as_mut().unwrap();
        BufReader::new(said).read_line(&mut ready).unwrap();
        let address = ready.trim().rsplit(' ').next().unwrap().to_owned();
        let mut service = Self {
            child,
            address,
            folder: folder.to_owned(),
            asker: None,
        };
        service.asker = Some(Asker::of(&service));
        service
    }

    /// A client whose connection is kept.
    pub(super) fn asker(&self) -> &Asker {
        self.asker.as_ref().unwrap()
    }

    /// Processor time spent so far, in user and kernel mode.
    pub(super) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let after_name = stat.rsplit(')').next().unwrap();
        let ticks: u64 = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>().unwrap())
            .sum();
        // Linux shows hundredths of a second, whatever it counts in.
        Duration::from_millis(ticks * 10)
    }

    /// Memory that is resident, in MiB.
    pub(super) fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024.0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes down what the service answers for `volume`, for the bare server.
fn record_answer(folder: &Path, kms: &Kms, runtime: &Runtime, volume: &Volume) {
    let request = RestoreKeysRequest {
        kad: volume.kad.clone(),
        a_kad: Vec::new(),
        volume: None,
    };
    let answer = runtime.block_on(kms.restore_keys(&Actor::local(), request)).unwrap();
    std::fs::write(folder.join(bare::BODY), serde_json::to_vec(&answer).unwrap()).unwrap();
    std::fs::write(folder.join(bare::HEAD), kms.audit_head().to_string()).unwrap();
}

/// Asks for the keys of volumes and checks each.
pub(super) struct Asker {
    client: Arc<KmsClient>,
    runtime: Runtime,
}

impl Asker {
    /// Requests that are under way at once, each on a connection of its own.
    pub(super) const CONNECTIONS: usize = 64;

    pub(super) fn of(service: &Service) -> Self {
        let mut config = ClientConfig::from_bundle(&service.folder.join("clients/media-server-1")).unwrap();
        config.addresses = vec![service.address.parse().unwrap()];
        Self {
            client: Arc::new(KmsClient::new(&config, &clock()).unwrap()),
            runtime: Runtime::new().unwrap(),
        }
    }

    /// One look-up.
    pub(super) fn ask(&self, volume: &Volume) {
        self.runtime.block_on(look_up(&self.client, volume));
    }

    /// As many look-ups as `requests` says, all over `volumes`.
    pub(super) fn ask_all(&self, volumes: &[Volume], requests: usize) {
        let next = Arc::new(AtomicUsize::new(0));
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..Self::CONNECTIONS {
                let (client, volumes, next) = (self.client.clone(), volumes.to_vec(), next.clone());
                tasks.spawn(async move {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= requests {
                            return;
                        }
                        look_up(&client, &volumes[number % volumes.len()]).await;
                    }
                });
            }
            tasks.join_all().await;
        });
    }
}

async fn look_up(client: &KmsClient, volume: &Volume) {
    let answer = client.restore_keys(&volume.kad, None).await.unwrap();
    let [found] = answer.keys.as_slice() else {
        panic!("{} keys", answer.keys.len())
    };
    assert!(found.key == *volume.key, "the key of another volume");
}
