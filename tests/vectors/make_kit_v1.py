#!/usr/bin/env python3
"""Makes kit-v1.json: a recovery kit with fixed salt, nonce and keys, after the description on the kit's own first pages.

Independent of the project's code: Argon2id and AES-GCM from OpenSSL through `cryptography` (44 or newer), base 32 written here.
Run: pip install cryptography && python3 make_kit_v1.py > kit-v1.json
"""
import hashlib, json, struct, unicodedata, uuid
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
KINDS = ["as_is", "derived"]
STATES = ["prelive", "active", "inactive", "deprecated", "terminated"]
ORIGINS = ["random", "passphrase", "imported"]
MEMORY_KIB, PASSES, LANES = 65536, 3, 1


def base32(data: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    return "".join(ALPHABET[int(bits[at:at + 5], 2)] for at in range(0, len(bits), 5))


def short(text: bytes) -> bytes:
    return struct.pack(">B", len(text)) + text


def long(text: bytes) -> bytes:
    return struct.pack(">H", len(text)) + text


def content(groups) -> bytes:
    out = struct.pack(">I", len(groups))
    for group in groups:
        out += struct.pack(">B", KINDS.index(group["kind"]) + 2 * group["released_outside"]) + short(group["name"].encode()) + long(group["description"].encode())
        out += struct.pack(">qqI", group["created_ms"], group["modified_ms"], group["rotate_after_days"] or 0)
        out += short((group["server"] or "").encode()) + struct.pack(">I", len(group["keys"]))
        for key in group["keys"]:
            out += bytes.fromhex(key["id"]) + bytes.fromhex(key["key"])
            out += struct.pack(">BB", STATES.index(key["state"]), ORIGINS.index(key["origin"]))
            out += short(key["name"].encode()) + long(key["description"].encode()) + long(bytes.fromhex(key["foreign_kad"]))
            out += struct.pack(">qqq", key["created_ms"], key["modified_ms"], key["activated_ms"] or 0)
    return out


def lines(kit: bytes, mark: str):
    for number, at in enumerate(range(0, len(kit), 30), 1):
        data = kit[at:at + 30]
        check = base32(hashlib.sha256(b"tapekey kit line" + mark.encode() + struct.pack(">I", number) + data).digest())[:4]
        text = base32(data)
        groups = [text[at:at + 4] for at in range(0, 48, 4)]
        yield f"{mark} {number:04}  {' '.join(groups[:6])}  {' '.join(groups[6:])}  {check}"


def key(name, number, state, origin, description="", foreign_kad=b""):
    secret = hashlib.sha256(b"key %d" % number).hexdigest()
    return dict(name=name, id=uuid.uuid5(uuid.NAMESPACE_DNS, f"key {number}").hex, key=secret, state=state, origin=origin,
                description=description, foreign_kad=foreign_kad.hex(), created_ms=1795521600000 + number, modified_ms=1795521700000 + number,
                activated_ms=None if state == "prelive" else 1795521650000 + number)


groups = [
    dict(name="ENCR_daily", kind="derived", description="täglich", created_ms=1795521600000, modified_ms=1795521600001, rotate_after_days=365, server=None, released_outside=False, keys=[
        key("2026-01", 1, "inactive", "random"), key("2026-02", 2, "active", "passphrase", "Schlüssel für Bänder"), key("2026-03", 3, "prelive", "random")]),
    dict(name="ENCR_old", kind="as_is", description="", created_ms=0, modified_ms=1, rotate_after_days=None, server=None, released_outside=True, keys=[
        key("january", 4, "deprecated", "imported", "", b"January 2024 LTO6 Tape Key"), key("lost", 5, "terminated", "imported", "x" * 256, bytes(range(12)))]),
    dict(name="ENCR_empty", kind="derived", description="", created_ms=1, modified_ms=1, rotate_after_days=3650, server="offsite", released_outside=True, keys=[]),
]
passphrase = "Scha\u0308rfe orbit lemon castle river paper quiet falcon"
kit_id, store = uuid.UUID("a55394d2-375a-4870-a7f1-7bd72b06d634"), uuid.UUID("23812e86-aec4-4827-a2c3-e02e3d9c67a8")
salt, nonce, made_ms = bytes(range(16)), bytes(range(0xF0, 0xFC)), 1795521612345

plain = content(groups)
head = b"TKK" + struct.pack(">BIII", 1, MEMORY_KIB, PASSES, LANES) + kit_id.bytes + struct.pack(">q", made_ms) + store.bytes
head += struct.pack(">III", len(groups), sum(len(group["keys"]) for group in groups), len(plain) + 16) + salt
assert len(head) == 84
secret = unicodedata.normalize("NFC", passphrase).encode()
sealing = Argon2id(salt=salt, length=32, iterations=PASSES, lanes=LANES, memory_cost=MEMORY_KIB).derive(secret)
kit = head + nonce + AESGCM(sealing).encrypt(nonce, plain, head)
kit += hashlib.sha256(kit).digest()[:8]
kit += bytes(-len(kit) % 30)
print(json.dumps(dict(
    about="a recovery kit of version 1 with fixed salt, nonce and keys",
    origin="made by make_kit_v1.py from the description on the kit's first pages: Argon2id and AES-GCM of OpenSSL through Python's cryptography, base 32 and layout written there",
    passphrase=passphrase, id=str(kit_id), store=str(store), made_ms=made_ms, salt=salt.hex(), nonce=nonce.hex(),
    groups=groups, lines=list(lines(kit, base32(kit_id.bytes)[:4]))), indent=1, ensure_ascii=False))
