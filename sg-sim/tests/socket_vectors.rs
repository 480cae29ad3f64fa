//! Every frame of `tests/vectors/socket/socket.json`, against the real server and against its codec.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it stands"
)]

mod socket_support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::Path;

use serde::Deserialize;
use sg_sim::front::frame::{RequestHead, ResponseHead, encode_hello_answer};
use socket_support::{Client, Server, raw};

#[derive(Deserialize)]
struct Document {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    frame: String,
    name: String,
    verdict: String,
    hex: String,
    #[serde(default)]
    fields: serde_json::Value,
}

impl Vector {
    fn bytes(&self) -> Vec<u8> {
        hex::decode(&self.hex).unwrap()
    }

    fn number(&self, field: &str) -> usize {
        self.fields[field]
            .as_u64()
            .unwrap_or_else(|| panic!("{}: {field}", self.name))
            .try_into()
            .unwrap()
    }

    fn field_bytes(&self, field: &str) -> Vec<u8> {
        hex::decode(self.fields[field].as_str().unwrap()).unwrap()
    }
}

fn vectors(frame: &str) -> Vec<Vector> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/socket/socket.json");
    let document: Document = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let chosen: Vec<_> = document
        .vectors
        .into_iter()
        .filter(|vector| vector.frame == frame)
        .collect();
    assert!(chosen.len() >= 10, "{frame}: only {} vectors", chosen.len());
    chosen
}

/// Sends `bytes` and nothing more, and returns all that the server sends until it closes.
fn all_answers(mut stream: std::os::unix::net::UnixStream, bytes: &[u8], and_end: bool) -> Vec<u8> {
    // The server may close before the last byte: that is what some vectors are about.
    let _ = stream.write_all(bytes);
    if and_end {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answers = Vec::new();
    match stream.read_to_end(&mut answers) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    answers
}

#[test]
fn the_server_judges_every_hello_as_the_text_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    for vector in vectors("hello") {
        let bytes = vector.bytes();
        let name = &vector.name;
        match vector.verdict.as_str() {
            "ok" => assert_eq!(
                all_answers(raw(&server.socket), &bytes, true),
                b"SGSM\x01\x00\x00\x00",
                "{name}"
            ),
            "violation" => assert_eq!(all_answers(raw(&server.socket), &bytes, false), b"", "{name}"),
            "incomplete" => assert_eq!(all_answers(raw(&server.socket), &bytes, true), b"", "{name}"),
            refused => {
                let outcome = if refused == "wrong_version" { 1 } else { 2 };
                let answer = all_answers(raw(&server.socket), &bytes, false);
                assert_eq!(answer[..6], [b'S', b'G', b'S', b'M', 1, outcome], "{name}");
                assert_eq!(
                    usize::from(u16::from_be_bytes([answer[6], answer[7]])),
                    answer.len() - 8,
                    "{name}"
                );
            }
        }
    }
    assert_eq!(
        server
            .client("bystander")
            .execute(&[0x12, 0, 0, 0, 36, 0], &[], 36)
            .code,
        0
    );
}

#[test]
fn the_server_judges_every_request_as_the_text_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    for vector in vectors("request") {
        let stream = Client::connect(&server.socket, "host1").stream;
        let name = &vector.name;
        let answers = all_answers(stream, &vector.bytes(), vector.verdict != "violation");
        if vector.verdict == "ok" {
            assert_eq!(answers[..5], [&vector.bytes()[..4], &[0]].concat(), "{name}");
            let sense = usize::from(u16::from_be_bytes([answers[6], answers[7]]));
            let data = usize::try_from(u32::from_be_bytes(answers[8..12].try_into().unwrap())).unwrap();
            assert_eq!(answers.len(), 16 + sense + data, "{name}");
            assert!(sense <= 252 && data <= vector.number("allocation_length"), "{name}");
        } else {
            assert_eq!(answers, b"", "{name}");
        }
    }
}

#[test]
fn the_codec_reads_the_lengths_of_every_request() {
    for vector in vectors("request") {
        let Some(head) = vector.bytes().first_chunk().map(RequestHead::decode) else {
            continue;
        };
        match vector.verdict.as_str() {
            "ok" => {
                let expected = RequestHead {
                    sequence: vector.number("sequence").try_into().unwrap(),
                    cdb_length: vector.field_bytes("cdb").len(),
                    data_out_length: vector.field_bytes("data_out").len(),
                    allocation_length: vector.number("allocation_length"),
                };
                assert_eq!(head, Ok(expected), "{}", vector.name);
            }
            "violation" => assert!(head.is_err(), "{}", vector.name),
            _ => assert!(head.is_ok(), "{}", vector.name),
        }
    }
}

#[test]
fn the_codec_writes_every_good_response_as_the_text_says() {
    for vector in vectors("response").into_iter().filter(|vector| vector.verdict == "ok") {
        let (head, body) = match vector.number("kind") {
            0 => {
                let (sense, data) = (vector.field_bytes("sense"), vector.field_bytes("data_in"));
                let status = vector.number("status").try_into().unwrap();
                (
                    ResponseHead::Status {
                        status,
                        sense_length: sense.len(),
                        data_in_length: data.len(),
                    },
                    [sense, data].concat(),
                )
            }
            _ => {
                let host_status = u8::try_from(vector.number("host_status")).unwrap().try_into().unwrap();
                (ResponseHead::Transport { host_status }, Vec::new())
            }
        };
        let sequence = vector.number("sequence").try_into().unwrap();
        assert_eq!(
            [head.encode(sequence).unwrap().to_vec(), body].concat(),
            vector.bytes(),
            "{}",
            vector.name
        );
    }
}

#[test]
fn the_codec_writes_the_accepting_answer_as_the_text_says() {
    let accepted = vectors("hello_answer")
        .into_iter()
        .find(|vector| vector.name == "accepted")
        .unwrap();
    assert_eq!(encode_hello_answer(None), accepted.bytes());
}
