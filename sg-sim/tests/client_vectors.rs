//! What unmodified clients sent, sent again: the drive must take it as it did when the client was content with the answers.
//!
//! `tests/real-clients/run --record` makes the vectors. The requests are the clients' and prove something; the answers are this drive's own
//! and only show that nothing has changed unseen. Keys are masked in the vectors, so a made-up one stands in for each.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use serde_json::Value;
use sg_sim::{Cartridge, Drive, ItNexus, MediumSpec, Profile, SeededRandomness};

const READ: u8 = 0x08;
const RANDOM_NUMBER_PAGE: [u8; 4] = [0xA2, 0x20, 0x00, 0x30];

fn bytes(text: &Value) -> Vec<u8> {
    hex::decode(text.as_str().unwrap_or_default().replace("kk", "6b")).unwrap()
}

fn length(number: &Value) -> usize {
    usize::try_from(number.as_u64().unwrap()).unwrap()
}

/// Sends all requests of a group to a drive that was just switched on.
fn send_again(group: &str) {
    let path = format!("{}/../tests/vectors/clients/{group}.json", env!("CARGO_MANIFEST_DIR"));
    let vectors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut drive = Drive::new(Profile::ibm_lto8(), Box::new(SeededRandomness::new(1)));
    let spec = MediumSpec {
        barcode: Some("SIM001L8".to_owned()),
        ..MediumSpec::default()
    };
    drive.load(Cartridge::in_memory(&spec).unwrap()).unwrap();
    let nexus = ItNexus::new("host").unwrap();
    for client in vectors["clients"].as_array().unwrap() {
        for exchange in client["exchanges"].as_array().unwrap() {
            let cdb = bytes(&exchange["cdb"]);
            let mut data_out = bytes(&exchange["data_out"]);
            data_out.resize(length(&exchange["data_out_length"]), 0);
            let mut data_in = vec![0xA5; length(&exchange["allocation_length"])];
            let reply = drive.execute(&nexus, &cdb, &data_out, &mut data_in);
            let context = format!("{}: {exchange}", client["command"]);
            assert_eq!(
                u64::from(reply.status.0),
                exchange["status"].as_u64().unwrap(),
                "{context}"
            );
            assert_eq!(reply.sense, bytes(&exchange["sense"]), "{context}");
            assert_eq!(reply.data_in, length(&exchange["data_in_length"]), "{context}");
            if cdb[0] != READ && !cdb.starts_with(&RANDOM_NUMBER_PAGE) {
                let wanted = bytes(&exchange["data_in"]);
                assert_eq!(&data_in[..wanted.len()], wanted, "{context}");
            }
        }
    }
}

#[test]
fn the_inquiries_of_sg3_utils() {
    send_again("inquiry");
}

#[test]
fn security_protocol_pages_by_sg_raw() {
    send_again("security");
}

#[test]
fn the_motions_of_mt_with_the_commands_of_st() {
    send_again("mt");
}
