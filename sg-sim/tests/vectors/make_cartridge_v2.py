#!/usr/bin/env python3
"""Makes cartridge-v2.json: a cartridge file, written from the description of its format alone.

Independent of the project's code: CRC-32C bit by bit, HMAC from Python, AES-GCM from `cryptography`.
Run: pip install cryptography && python3 make_cartridge_v2.py > cartridge-v2.json
"""
import hashlib, hmac, json, struct
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY = bytes(range(32))
NONCE = bytes(range(0xA0, 0xAC))
KADS = bytes([0, 0, 0, 4]) + b"name" + bytes([1, 0, 0, 2]) + b"ak"


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def header():
    body = b"SGSIMLTO" + struct.pack(">HB5xQQ", 2, 0x5E, 10**9, 10**6) + b"VECTOR1".ljust(32) + bytes(60)
    return body + struct.pack(">I", crc32c(body))


def state(sequence):
    body = struct.pack(">QQQBQQ", 3, 25, 0, 0, 3, 9) + struct.pack(">HBH", 0x0806, 1, 32) + b"VEC001L8".ljust(32)
    slot = b"SGST" + struct.pack(">QI", sequence, len(body)) + body
    return slot + struct.pack(">I", crc32c(slot))


def record(seed, sequence, number, kind, at, payload=b"", kads=b"", raw=0, kad_format=0, key=None):
    """Header and payload of one record."""
    check = hmac.new(key, b"sg-sim key check v1", hashlib.sha256).digest()[:8] if key else bytes(8)
    aad = struct.pack(">QBBBBIH2x", number, kind, 1 if key else 0, raw, kad_format, len(payload), len(kads)) + check + kads
    tag, nonce, payload_crc = bytes(16), bytes(12), 0
    if key:
        nonce = NONCE
        sealed = AESGCM(key).encrypt(nonce, payload, aad)
        payload, tag = sealed[:-16], sealed[-16:]
    elif payload:
        payload_crc = crc32c(payload)
    head = b"SGRC" + struct.pack(">Q", sequence) + tag + nonce + struct.pack(">IQ", payload_crc, at) + aad
    return head + struct.pack(">I", crc32c(head, seed)), payload


assert crc32c(b"123456789") == 0xE3069283
first = header()
seed = struct.unpack(">I", first[124:])[0]
TABLE, TABLE_BYTES, PLAIN, SEALED = 36864, 65536, b"a plain block", b"a sealed one"
first_payload = TABLE + TABLE_BYTES
# The headers go on in a second table, as if the first were full, and behind them lies one that the cut of the state (object 3, sequence 9) took.
second_table = (first_payload + len(PLAIN) + 4095) // 4096 * 4096
second_payload = second_table + TABLE_BYTES
plain, plain_payload = record(seed, 1, 0, 1, first_payload, PLAIN)
link, _ = record(seed, 4, 1, 4, second_table)
filemark, _ = record(seed, 4, 1, 3, second_payload)
sealed, sealed_payload = record(seed, 5, 2, 2, second_payload, SEALED, KADS, raw=1, kad_format=0, key=KEY)
gone, gone_payload = record(seed, 9, 3, 1, second_payload + len(SEALED), b"gone with the cut")
parts = [(0, first), (4096, state(8)), (20480, state(7)), (TABLE, plain + link), (first_payload, plain_payload),
         (second_table, filemark + sealed + gone), (second_payload, sealed_payload + gone_payload)]
print(json.dumps({
    "about": "A cartridge file of format version 2, written by make_cartridge_v2.py from the description of the format, not by the simulator.",
    "origin": "the front page of the room sg-sim/src/cartridge",
    "key": KEY.hex(), "kads": KADS.hex(), "plain_block": PLAIN.hex(), "sealed_block": SEALED.hex(),
    "parts": [{"at": at, "bytes": data.hex()} for at, data in parts],
}, indent=1))
