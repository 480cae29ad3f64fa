#!/usr/bin/env python3
"""Makes cartridge-v1.json: a cartridge file, written from the description of its format alone.

Independent of the project's code: CRC-32C bit by bit, HMAC from Python, AES-GCM from `cryptography`.
Run: pip install cryptography && python3 make_cartridge_v1.py > cartridge-v1.json
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
    body = b"SGSIMLTO" + struct.pack(">HB5xQQ", 1, 0x5E, 10**9, 10**6) + b"VECTOR1".ljust(32) + bytes(60)
    return body + struct.pack(">I", crc32c(body))


def state(sequence):
    body = struct.pack(">QQQB", 3, 25, 0, 0) + struct.pack(">HBH", 0x0806, 1, 32) + b"VEC001L8".ljust(32)
    slot = b"SGST" + struct.pack(">QI", sequence, len(body)) + body
    return slot + struct.pack(">I", crc32c(slot))


def record(seed, number, kind, payload=b"", kads=b"", raw=0, kad_format=0, key=None):
    check = hmac.new(key, b"sg-sim key check v1", hashlib.sha256).digest()[:8] if key else bytes(8)
    aad = struct.pack(">QBBBBIH2x", number, kind, 1 if key else 0, raw, kad_format, len(payload), len(kads)) + check + kads
    tag, nonce, payload_crc = bytes(16), bytes(12), 0
    if key:
        nonce = NONCE
        sealed = AESGCM(key).encrypt(nonce, payload, aad)
        payload, tag = sealed[:-16], sealed[-16:]
    elif payload:
        payload_crc = crc32c(payload)
    head = b"SGRC" + struct.pack(">Q", number + 1) + tag + nonce + struct.pack(">I", payload_crc) + aad
    crc = crc32c(head, seed)
    return head + struct.pack(">I", crc) + payload + struct.pack(">I", crc ^ 0xFFFFFFFF)


assert crc32c(b"123456789") == 0xE3069283
first = header()
seed = struct.unpack(">I", first[124:])[0]
records = [
    record(seed, 0, 1, b"a plain block"),
    record(seed, 1, 3),
    record(seed, 2, 2, b"a sealed one", KADS, raw=1, kad_format=0, key=KEY),
]
print(json.dumps({
    "about": "A cartridge file of format version 1, written by make_cartridge_v1.py from the description of the format, not by the simulator.",
    "key": KEY.hex(), "kads": KADS.hex(), "plain_block": b"a plain block".hex(), "sealed_block": b"a sealed one".hex(),
    "parts": [{"at": 0, "bytes": first.hex()}, {"at": 4096, "bytes": state(8).hex()}, {"at": 20480, "bytes": state(7).hex()},
              {"at": 36864, "bytes": b"".join(records).hex()}],
}, indent=1))
