//! Any sequence of commands of two hosts, with any data: an answer that a drive could give, every time.

use super::{
    Target, corpus,
    mutation::{Lots, mutate},
};
use sg_sim::{Cartridge, Drive, Event, ItNexus, MediumSpec, Profile, Reply, SeededRandomness, Status};
use std::fmt::Write;

/// One command: host, CDB, data-out, room for data-in.
#[derive(Clone)]
struct Command {
    host: u8,
    cdb: Vec<u8>,
    data_out: Vec<u8>,
    room: usize,
}

/// The target.
pub(crate) struct Commands {
    corpus: Vec<Vec<Command>>,
}

impl Commands {
    pub(crate) fn new() -> Self {
        let corpus = corpus::read("commands");
        let corpus = corpus
            .iter()
            .map(|lines| lines.iter().map(|line| command(line)).collect());
        Self {
            corpus: corpus.collect(),
        }
    }

    /// A sequence from the corpus, changed.
    fn input(&self, lots: &mut Lots) -> Vec<Command> {
        let mut commands = lots.pick(&self.corpus).clone();
        for _ in 0..=lots.below(6) {
            let at = lots.below(commands.len());
            match lots.below(8) {
                0..=2 => mutate(&mut commands[at].cdb, lots),
                3 => mutate(&mut commands[at].data_out, lots),
                4 => commands[at].room = lots.below(600),
                5 => commands[at].host = 1 + u8::from(lots.below(2) == 1),
                6 => {
                    let repeated = commands[at].clone();
                    commands.insert(at, repeated);
                }
                _ => {
                    let other = lots.pick(&self.corpus);
                    commands.insert(at, lots.pick(other).clone());
                }
            }
        }
        commands
    }
}

impl Target for Commands {
    fn name(&self) -> &'static str {
        "commands"
    }

    fn round(&mut self, lots: &mut Lots, say: &mut dyn FnMut(&str)) {
        let commands = self.input(lots);
        say(&text(&commands));
        let mut drive = drive();
        let events = [
            Event::KeyDropped,
            Event::Reset,
            Event::KeySetByAnotherNexus,
            Event::PowerCycle,
        ];
        for command in &commands {
            if lots.below(40) == 0 {
                drive.apply(lots.pick(&events).clone());
            }
            try_command(&mut drive, command);
        }
        let inquiry = command("1 120000002400");
        assert_eq!(
            try_command(&mut drive, &inquiry).status,
            Status::GOOD,
            "the drive lives"
        );
    }
}

/// A drive with a small tape, so that its end is near.
fn drive() -> Drive {
    let mut drive = Drive::new(Profile::ibm_lto8(), Box::new(SeededRandomness::new(7)));
    let spec = MediumSpec {
        capacity_bytes: 20_000,
        early_warning_bytes: 5_000,
        ..MediumSpec::default()
    };
    drive.load(Cartridge::in_memory(&spec).unwrap()).unwrap();
    drive
}

fn try_command(drive: &mut Drive, command: &Command) -> Reply {
    let nexus = ItNexus::new(&format!("host{}", command.host)).unwrap();
    let mut data_in = vec![0xA5; command.room];
    let reply = drive.execute(&nexus, &command.cdb, &command.data_out, &mut data_in);
    assert!(reply.data_in <= command.room, "more data than there is room for");
    match reply.status {
        Status::CHECK_CONDITION => assert_sense(&reply.sense),
        Status::GOOD | Status::RESERVATION_CONFLICT => assert!(reply.sense.is_empty(), "sense without a reason"),
        other => panic!("status {other:?}"),
    }
    reply
}

/// Fixed or descriptor format, its length as it says.
pub(crate) fn assert_sense(sense: &[u8]) {
    assert!((8..=252).contains(&sense.len()));
    assert_eq!(usize::from(sense[7]) + 8, sense.len(), "ADDITIONAL SENSE LENGTH");
    match sense[0] {
        0x70 | 0xF0 => assert!(sense.len() >= 18),
        0x72 => {
            let mut rest = &sense[8..];
            while let [_, length, behind @ ..] = rest {
                rest = &behind[usize::from(*length)..];
            }
            assert!(rest.is_empty(), "descriptors");
        }
        other => panic!("response code {other:02X}h"),
    }
}

/// Host, CDB, and data-out if there is any.
fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    Command {
        host: words.next().unwrap().parse().unwrap(),
        cdb: hex::decode(words.next().unwrap()).unwrap(),
        data_out: hex::decode(words.next().unwrap_or_default()).unwrap(),
        room: 512,
    }
}

fn text(commands: &[Command]) -> String {
    commands.iter().fold(String::new(), |mut text, command| {
        let (cdb, data_out) = (hex::encode(&command.cdb), hex::encode(&command.data_out));
        writeln!(text, "{} {cdb} {data_out} (room {})", command.host, command.room).unwrap();
        text
    })
}
