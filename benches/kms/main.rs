//! The key service against the bare work that nobody can leave out, as ratios.
//!
//! Service and bare server are programs of their own, asked over mutual TLS by the same client, in turns; what counts is the processor
//! time that each spends on a checked reply, so that cores and what else the machine does matter little. Every reply counts only if the key in
//! it is the one that was asked for. Every look-up of the service is audited durably: there is no way to have it without.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a bench stops where it stands and prints its table"
)]

mod bare;
mod ours;

use std::path::Path;
use std::time::{Duration, Instant};

use ours::{Asker, Service, Volume};

/// What one run does.
struct Size {
    /// Keys of the large store.
    many: usize,
    /// Keys of the large group.
    in_group: usize,
    /// Requests of one turn.
    requests: usize,
    /// Turns of each side.
    turns: usize,
}

impl Size {
    fn of_this_run() -> Self {
        // `cargo bench` passes --bench; `cargo test --all-targets` does not, and only wants to see it work.
        let arguments: Vec<String> = std::env::args().collect();
        let keys = arguments.iter().skip_while(|argument| *argument != "--keys").nth(1);
        if arguments.iter().any(|argument| argument == "--bench") {
            Self {
                many: keys.map_or(1_000_000, |keys| keys.parse().unwrap()),
                in_group: 10_000,
                requests: 20_000,
                turns: 5,
            }
        } else {
            Self {
                many: 400,
                in_group: 20,
                requests: 64,
                turns: 1,
            }
        }
    }
}

const FEW: usize = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, verb, folder] = arguments.as_slice()
        && verb == bare::SERVE
    {
        return bare::serve(Path::new(folder));
    }
    let size = Size::of_this_run();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    println!("{:56} {:>12} {:>12} {:>7}  goal", "what", "ours", "against", "ratio");
    look_ups(&size, folder.path());
    restores(&size, folder.path());
    creates(&size, folder.path());
}

/// Look-ups of a small and a large store, and a cold start and the memory of both.
fn look_ups(size: &Size, folder: &Path) {
    let (few, many) = (folder.join("few"), folder.join("many"));
    let of_few = ours::make(&few, FEW.min(size.many), 20);
    let of_many = ours::make(&many, size.many, 1000.min(size.many / 20));
    let (small, large) = (Service::start(&few), Service::start(&many));
    let bare = Service::start_bare(&few);
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..size.turns {
        let sides = [(&small, &*of_few), (&large, &*of_many), (&bare, &of_few[..1])];
        for ((service, volumes), rates) in sides.into_iter().zip(&mut rates) {
            rates.push(per_processor_second(service, volumes, size.requests));
        }
    }
    let [few_rate, many_rate, bare_rate] = rates.map(median);
    let name = |keys| format!("look-ups per core-second, audited, {keys} keys");
    row(&name(FEW), few_rate, bare_rate, "bare axum, >= 0.25");
    row(&name(size.many), many_rate, bare_rate, "bare axum, >= 0.25");
    row(&name(size.many), many_rate, few_rate, "1000 keys, >= 0.70");
    row(
        &format!("MiB resident after that, {} keys, against {FEW}", size.many),
        large.resident_mib(),
        small.resident_mib(),
        "4 MiB more at most",
    );
    // A store has one service.
    drop(large);
    let turns = 0..size.turns * 3;
    let cold = median(turns.clone().map(|_| ours::cold_start(&many)).collect());
    let bare = median(turns.map(|_| bare::open(&many)).collect());
    row("milliseconds to open the large store", cold, bare, "bare SQLite, <= 2");
}

/// A restore by KAD from a group with one key and from one with many, one after the other.
fn restores(size: &Size, folder: &Path) {
    let (one, group) = (folder.join("one"), folder.join("group"));
    let of_one = ours::make(&one, 1, 1);
    let of_group = ours::make(&group, size.in_group, 1);
    let (one, group) = (Service::start(&one), Service::start(&group));
    let (mut alone, mut among) = (Vec::new(), Vec::new());
    for _ in 0..size.requests / 20 {
        alone.push(milliseconds(&one, &of_one));
        among.push(milliseconds(&group, &of_group));
    }
    let what = format!("milliseconds for a restore, {} keys in the group", size.in_group);
    row(&what, median(among), median(alone), "1 key, <= 1.1");
}

/// A durable new key against a durable write.
fn creates(size: &Size, folder: &Path) {
    let store = folder.join("creates");
    ours::make(&store, 1, 1);
    let mut ours = ours::Creating::in_store(&store);
    let mut bare = bare::Appending::in_folder(folder);
    let (mut keys, mut writes) = (Vec::new(), Vec::new());
    for _ in 0..size.requests / 20 {
        keys.push(time(|| ours.create()));
        writes.push(time(|| bare.append()));
    }
    row(
        "milliseconds for a durable new key",
        median(keys),
        median(writes),
        "bare fdatasync, <= 1.5",
    );
}

fn per_processor_second(service: &Service, volumes: &[Volume], requests: usize) -> f64 {
    let asker = Asker::of(service);
    // Connections are made before the count begins.
    asker.ask_all(volumes, Asker::CONNECTIONS);
    let before = service.processor_time();
    asker.ask_all(volumes, requests);
    let spent = service.processor_time() - before;
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let requests = requests as f64;
    requests / spent.as_secs_f64().max(0.01)
}

fn milliseconds(service: &Service, volumes: &[Volume]) -> f64 {
    let asker = service.asker();
    time(|| asker.ask(&volumes[0]))
}

fn time(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    in_milliseconds(begun.elapsed())
}

fn in_milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn row(what: &str, ours: f64, against: f64, goal: &str) {
    println!("{what:56} {ours:>12.2} {against:>12.2} {:>7.3}  {goal}", ours / against);
}
