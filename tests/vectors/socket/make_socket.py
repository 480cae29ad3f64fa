#!/usr/bin/env python3
"""Builds socket.json beside it from the text of sg-sim/PROTOCOL.md part 1, with struct.pack only.

It shares nothing with either implementation. Run it in this folder; without changes to the text it writes the same bytes again.
"""

import json
import struct

MAGIC = b"SGSM"
LIMIT = 16 * 1024 * 1024 + 4096
OK = "ok"                  # a frame that must be understood as `fields` says
VIOLATION = "violation"    # the reader must close, and not act on it
INCOMPLETE = "incomplete"  # more bytes must follow; an end of stream here is a violation
WRONG_VERSION = "wrong_version"  # the server answers outcome 01 and closes
BAD_NAME = "bad_name"            # the server answers outcome 02 and closes


def hello(name, magic=MAGIC, version=1, reserved=0, length=None):
    return struct.pack(">4sBBH", magic, version, reserved, len(name) if length is None else length) + name


def answer(outcome, reason=b"", magic=MAGIC, version=1, length=None):
    return struct.pack(">4sBBH", magic, version, outcome, len(reason) if length is None else length) + reason


def request(sequence, cdb, data_out=b"", allocation=0, reserved=0, cdb_length=None, out_length=None):
    return struct.pack(">IHHII", sequence, len(cdb) if cdb_length is None else cdb_length, reserved,
                       len(data_out) if out_length is None else out_length, allocation) + cdb + data_out


def response(sequence, code, sense=b"", data_in=b"", kind=0, reserved=0, sense_length=None, in_length=None):
    return struct.pack(">IBBHII", sequence, kind, code, len(sense) if sense_length is None else sense_length,
                       len(data_in) if in_length is None else in_length, reserved) + sense + data_in


vectors = []


def add(frame, name, verdict, data, why, fields=None, expect=None):
    entry = {"frame": frame, "name": name, "verdict": verdict, "why": why, "hex": data.hex()}
    if expect is not None:
        entry["expect"] = expect
    if fields is not None:
        entry["fields"] = fields
    vectors.append(entry)


def cuts(frame, name, data, places, expect=None):
    for place in places:
        add(frame, f"{name} cut after {place} bytes", INCOMPLETE, data[:place], "the end of the frame is missing", None, expect)


# --- 1.2 hello ---
add("hello", "shortest name", OK, hello(b"a"), "1.2", {"version": 1, "nexus": "a"})
add("hello", "an ordinary name", OK, hello(b"host1:sg3"), "1.2", {"version": 1, "nexus": "host1:sg3"})
longest = bytes(range(0x21, 0x61))
add("hello", "name of 64 bytes", OK, hello(longest), "1.1: 64 is the limit", {"version": 1, "nexus": longest.decode()})
add("hello", "first and last byte allowed", OK, hello(b"!~"), "1.1: 21h to 7Eh", {"version": 1, "nexus": "!~"})
add("hello", "magic of another protocol", VIOLATION, hello(b"host1", magic=b"GET "), "1.2: closed without an answer")
add("hello", "magic in lower case", VIOLATION, hello(b"host1", magic=b"sgsm"), "1.2: closed without an answer")
add("hello", "version 0", WRONG_VERSION, hello(b"host1", version=0), "1.2: answered with outcome 01")
add("hello", "version 2", WRONG_VERSION, hello(b"host1", version=2), "1.2: answered with outcome 01")
add("hello", "version 2 with a reserved byte used", WRONG_VERSION, hello(b"host1", version=2, reserved=9),
    "1.2: version is checked before the rest")
add("hello", "reserved byte set", VIOLATION, hello(b"host1", reserved=1), "1.1: reserved fields are zero")
add("hello", "no name", BAD_NAME, hello(b""), "1.1: at least one byte")
add("hello", "name of 65 bytes", BAD_NAME, hello(b"n" * 65), "1.1: at most 64 bytes")
add("hello", "name length 65535 without a name", BAD_NAME, hello(b"", length=0xFFFF), "1.1: judged from the header")
add("hello", "blank in the name", BAD_NAME, hello(b"host 1"), "1.1: 20h is not allowed")
add("hello", "DEL in the name", BAD_NAME, hello(b"host\x7f"), "1.1: 7Fh is not allowed")
add("hello", "line feed in the name", BAD_NAME, hello(b"host\n"), "1.1: 0Ah is not allowed")
add("hello", "UTF-8 in the name", BAD_NAME, hello("höst".encode()), "1.1: ASCII only")
cuts("hello", "hello", hello(b"host1"), range(0, 13))

# --- 1.3 hello answer ---
add("hello_answer", "accepted", OK, answer(0), "1.3", {"version": 1, "outcome": 0, "reason": ""})
add("hello_answer", "version refused", OK, answer(1, b"this server speaks version 1"), "1.3: a refusal, not a violation",
    {"version": 1, "outcome": 1, "reason": "this server speaks version 1"})
add("hello_answer", "version refused by a newer server", OK, answer(1, b"", version=2), "1.3: the version is the server's",
    {"version": 2, "outcome": 1, "reason": ""})
add("hello_answer", "name refused", OK, answer(2, b"bad name"), "1.3", {"version": 1, "outcome": 2, "reason": "bad name"})
add("hello_answer", "too many connections", OK, answer(3, b"full"), "1.3", {"version": 1, "outcome": 3, "reason": "full"})
add("hello_answer", "unknown outcome", OK, answer(0x7F, "voll – später".encode()), "1.3: unknown outcomes are refusals too",
    {"version": 1, "outcome": 127, "reason": "voll – später"})
add("hello_answer", "longest reason", OK, answer(2, b"r" * 255), "1.1: 255 is the limit", {"version": 1, "outcome": 2, "reason": "r" * 255})
add("hello_answer", "wrong magic", VIOLATION, answer(0, magic=b"SGSN"), "1.3")
add("hello_answer", "accepted with another version", VIOLATION, answer(0, version=2), "1.3: outcome 00 means version 01")
add("hello_answer", "accepted with a reason", VIOLATION, answer(0, b"hi"), "1.3: the reason is empty with outcome 00")
add("hello_answer", "reason of 256 bytes", VIOLATION, answer(2, b"r" * 256), "1.1: judged from the header")
add("hello_answer", "reason is not UTF-8", VIOLATION, answer(2, b"\xff\xfe"), "1.3")
cuts("hello_answer", "refusal", answer(2, b"bad"), range(0, 11))

# --- 1.4 request ---
tur = bytes(6)
spin = bytes.fromhex("a22000200000000000420000")
spout = bytes.fromhex("b52000100000000000140000")
write6 = bytes.fromhex("0a0000001000")
add("request", "TEST UNIT READY", OK, request(1, tur), "1.4: no data",
    {"sequence": 1, "cdb": tur.hex(), "data_out": "", "allocation_length": 0})
add("request", "SPIN with room for 66 bytes", OK, request(2, spin, allocation=66), "1.4: data-in",
    {"sequence": 2, "cdb": spin.hex(), "data_out": "", "allocation_length": 66})
page = bytes.fromhex("0010001040000000000000000000000000000000")
add("request", "SPOUT with 20 bytes", OK, request(3, spout, page), "1.4: data-out",
    {"sequence": 3, "cdb": spout.hex(), "data_out": page.hex(), "allocation_length": 0})
add("request", "WRITE(6) of 16 bytes, highest sequence number", OK, request(0xFFFFFFFF, write6, bytes(range(16))), "1.4",
    {"sequence": 0xFFFFFFFF, "cdb": write6.hex(), "data_out": bytes(range(16)).hex(), "allocation_length": 0})
add("request", "sequence number 0", OK, request(0, tur), "1.4: any number will do",
    {"sequence": 0, "cdb": tur.hex(), "data_out": "", "allocation_length": 0})
add("request", "CDB of one byte", OK, request(4, b"\x00"), "1.4: whether that is a command is the drive's business",
    {"sequence": 4, "cdb": "00", "data_out": "", "allocation_length": 0})
cdb260 = bytes([0x7F]) + bytes(i & 0xFF for i in range(259))
add("request", "CDB of 260 bytes", OK, request(5, cdb260), "1.1: 260 is the limit",
    {"sequence": 5, "cdb": cdb260.hex(), "data_out": "", "allocation_length": 0})
add("request", "allocation length at its limit", OK, request(6, spin, allocation=LIMIT), "1.1",
    {"sequence": 6, "cdb": spin.hex(), "data_out": "", "allocation_length": LIMIT})
add("request", "no CDB", VIOLATION, request(7, b""), "1.1: at least one byte")
add("request", "CDB of 261 bytes", VIOLATION, request(8, bytes(261)), "1.1: at most 260")
add("request", "CDB length 65535", VIOLATION, request(8, tur, cdb_length=0xFFFF), "1.1: judged from the header")
add("request", "reserved field set", VIOLATION, request(9, tur, reserved=0x0100), "1.1: reserved fields are zero")
add("request", "both directions", VIOLATION, request(10, spin, b"\x01", allocation=1), "1.4: no bidirectional command")
add("request", "data-out one above its limit", VIOLATION, request(11, write6, out_length=LIMIT + 1), "1.1: judged from the header")
add("request", "data-out length FFFFFFFFh", VIOLATION, request(12, write6, out_length=0xFFFFFFFF), "1.1: judged from the header")
add("request", "allocation length one above its limit", VIOLATION, request(13, spin, allocation=LIMIT + 1), "1.1")
add("request", "allocation length FFFFFFFFh", VIOLATION, request(14, spin, allocation=0xFFFFFFFF), "1.1")
cuts("request", "SPOUT", request(3, spout, page), [0, 1, 4, 6, 8, 12, 15, 16, 17, 27, 28, 29, 47])

# --- 1.5 response ---
ask = {"sequence": 2, "allocation_length": 66}
sense = bytes.fromhex("70000500000000" "0a" "00000000" "2400" "00" "c00001")
add("response", "GOOD without data", OK, response(2, 0), "1.5",
    {"sequence": 2, "kind": 0, "status": 0, "sense": "", "data_in": ""}, ask)
add("response", "GOOD with 8 bytes", OK, response(2, 0, data_in=bytes(range(8))), "1.5: residual 58",
    {"sequence": 2, "kind": 0, "status": 0, "sense": "", "data_in": bytes(range(8)).hex()}, ask)
add("response", "data-in as long as the allocation", OK, response(2, 0, data_in=b"\xa5" * 66), "1.5: residual 0",
    {"sequence": 2, "kind": 0, "status": 0, "sense": "", "data_in": "a5" * 66}, ask)
add("response", "CHECK CONDITION with sense", OK, response(2, 2, sense), "1.5: ILLEGAL REQUEST 24h/00h, field pointer 1",
    {"sequence": 2, "kind": 0, "status": 2, "sense": sense.hex(), "data_in": ""}, ask)
add("response", "CHECK CONDITION with sense and data", OK, response(2, 2, sense, b"\x01\x02\x03"), "1.5: both may be there, sense first",
    {"sequence": 2, "kind": 0, "status": 2, "sense": sense.hex(), "data_in": "010203"}, ask)
add("response", "GOOD with sense", OK, response(2, 0, sense), "1.5: any status",
    {"sequence": 2, "kind": 0, "status": 0, "sense": sense.hex(), "data_in": ""}, ask)
add("response", "sense of 252 bytes", OK, response(2, 2, b"\x72" + bytes(251)), "1.1: 252 is the limit",
    {"sequence": 2, "kind": 0, "status": 2, "sense": "72" + "00" * 251, "data_in": ""}, ask)
add("response", "RESERVATION CONFLICT", OK, response(2, 0x18), "1.5",
    {"sequence": 2, "kind": 0, "status": 0x18, "sense": "", "data_in": ""}, ask)
for host_status, words in [(1, "no connect"), (3, "time out"), (8, "reset"), (0x0E, "transport disrupted"), (0xFF, "unknown to all")]:
    add("response", f"host status {host_status:02X}h, {words}", OK, response(2, host_status, kind=1), "1.5: kind 01",
        {"sequence": 2, "kind": 1, "host_status": host_status}, ask)
add("response", "another sequence number", VIOLATION, response(3, 0), "1.5: not the oldest unanswered request", None, ask)
add("response", "more data-in than asked for", VIOLATION, response(2, 0, data_in=bytes(67)), "1.5", None, ask)
add("response", "data-in length FFFFFFFFh", VIOLATION, response(2, 0, in_length=0xFFFFFFFF), "1.5: judged from the header", None, ask)
add("response", "sense of 253 bytes", VIOLATION, response(2, 2, bytes(253)), "1.1: at most 252", None, ask)
add("response", "sense length 65535", VIOLATION, response(2, 2, sense_length=0xFFFF), "1.1: judged from the header", None, ask)
add("response", "reserved field set", VIOLATION, response(2, 0, reserved=1), "1.1", None, ask)
add("response", "unknown kind", VIOLATION, response(2, 0, kind=2), "1.5", None, ask)
add("response", "host status zero", VIOLATION, response(2, 0, kind=1), "1.5: zero would mean success", None, ask)
add("response", "host status with sense", VIOLATION, response(2, 8, sense, kind=1), "1.5: both lengths are zero", None, ask)
add("response", "host status with data", VIOLATION, response(2, 8, data_in=b"\x00", kind=1), "1.5: both lengths are zero", None, ask)
cuts("response", "sense and data", response(2, 2, sense, b"\x01\x02\x03"), [0, 1, 4, 5, 8, 12, 15, 16, 17, 33, 34, 35, 36], ask)

document = {
    "origin": "sg-sim/PROTOCOL.md part 1, version 1; built by make_socket.py beside this file",
    "frames": "hello and request are read by the server; hello_answer and response by the client",
    "verdicts": {
        OK: "understood as `fields` says", VIOLATION: "the reader closes and does not act on it",
        INCOMPLETE: "the reader waits for more; an end of stream here is a violation (at byte 0 of a request or response: a normal close)",
        WRONG_VERSION: "the server answers outcome 01 and closes", BAD_NAME: "the server answers outcome 02 and closes",
    },
    "expect": "for responses: the request that the client is waiting for",
    "vectors": vectors,
}
with open("socket.json", "w", encoding="utf-8") as out:
    json.dump(document, out, indent=1, ensure_ascii=False)
    out.write("\n")
