"""SECURITY PROTOCOL IN and OUT by hand with sg_raw, byte for byte (reference: sections 1-4 and the golden bytes of section 14)."""

import re

from checks.support import check, client, settle_unit_attentions, write_file

NODE = "/sim/sg0"
KEY = bytes(range(32))


def spin(page, allocation=8192, protocol=0x20):
    cdb = bytes([0xA2, protocol, page >> 8, page & 0xFF, 0, 0]) + allocation.to_bytes(4, "big") + b"\0\0"
    answer = client("sg_raw", "-r", str(allocation), NODE, *(f"{byte:02X}" for byte in cdb))
    return answer, received(answer)


def received(answer):
    """The bytes in sg_raw's hex dump."""
    rows = re.findall(r"^ +[0-9a-f]+ {5}((?:[0-9a-f]{2} {1,2})+)", answer.out + answer.error, re.MULTILINE)
    return bytes.fromhex("".join(rows))


def spout(page, length=None):
    path = write_file("page.bin", page)
    length = len(page) if length is None else length
    cdb = bytes([0xB5, 0x20, 0, 0x10, 0, 0]) + length.to_bytes(4, "big") + b"\0\0"
    return client("sg_raw", "-s", str(len(page)), "-i", path, NODE, *(f"{byte:02X}" for byte in cdb))


def set_page(encryption=2, decryption=2, index=1, flags=0x40, key=KEY, kads=b""):
    body = bytes([0x40, flags, encryption, decryption, index]) + bytes(9) + len(key).to_bytes(2, "big") + key + kads
    return bytes([0, 0x10]) + len(body).to_bytes(2, "big") + body


def same(name, got, wanted):
    check(name, got == bytes.fromhex(wanted), f"wanted {wanted}, got {got.hex(' ')}")


def good(name, answer):
    check(name, answer.status == 0 and answer.says("SCSI Status: Good"), answer)


def refused(name, answer, additional, field):
    """CHECK CONDITION, ILLEGAL REQUEST, with a field pointer to that byte of the page."""
    says = answer.says("Illegal Request", additional, f"Error in Data parameters: byte {field} ")
    check(name, answer.status != 0 and says, answer)


def run():
    settle_unit_attentions()
    protocols_and_lists()
    idle_status()
    keys_in_both_directions()
    refusals()


def protocols_and_lists():
    same("protocol 00h lists 00h and 20h", spin(0, protocol=0)[1], "00 00 00 00 00 00 00 02 00 20")
    same("no certificate", spin(1, protocol=0)[1], "00 00 00 00")
    pages = spin(0)[1]
    check("page 0000h lists all pages that the drive answers", pages[:4] == bytes([0, 0, 0, len(pages) - 4])
          and all(code in pages[4:] for code in (b"\0\x10", b"\0\x12", b"\0\x20", b"\0\x21")), pages.hex(" "))
    same("page 0001h: the only page to send is 0010h", spin(1)[1], "00 01 00 02 00 10")
    capabilities = spin(0x10)[1]
    check("page 0010h offers AES-256-GCM as index 1 with 32-byte keys", capabilities[:4] == bytes.fromhex("00100028")
          and capabilities[20:24] == bytes.fromhex("01000014") and capabilities[30:32] == b"\0\x20"
          and capabilities[40:44] == bytes.fromhex("00010014"), capabilities.hex(" "))
    check("the algorithm is valid for the mounted volume", capabilities[24] & 0x80 != 0, capabilities.hex(" "))
    same("page 0012h: LOCK, CKOD, CKORP, CKORL, all scopes", spin(0x12)[1], "00 12 00 0C 01 07 00 07" + "00" * 8)
    first, second = spin(0x30)[1], spin(0x30)[1]
    check("page 0030h: 32 random bytes, new ones each time", len(first) == 36 and first[:4] == bytes.fromhex("00300020")
          and first != second, f"{first.hex(' ')} {second.hex(' ')}")
    check("a page that no drive has is an invalid field", spin(0x7F)[0].says("Illegal Request", "Invalid field in cdb"))


def idle_status():
    same("page 0020h of an idle drive", spin(0x20)[1], "00 20 00 14" + "00" * 8 + "10" + "00" * 11)
    whole, cut = spin(0x20)[1], spin(0x20, allocation=7)[1]
    check("a short allocation length cuts the data and changes nothing in it", cut == whole[:7], cut.hex(" "))


def keys_in_both_directions():
    good("a key goes in", spout(set_page()))
    status = spin(0x20)[1]
    same("page 0020h: encrypt, decrypt, index 1, counter 1", status[4:12], "42 02 02 01 00 00 00 01")
    check("the key itself never comes back", KEY not in status and KEY not in spin(0x21)[1])
    good("a key with a name goes in", spout(set_page(decryption=3, kads=bytes([0, 0, 0, 12]) + b"Hello world!")))
    status = spin(0x20)[1]
    same("page 0020h: mixed, counter 2", status[4:12], "42 02 03 01 00 00 00 02")
    check("and the name comes back", status[24:25] == b"\0" and status[28:40] == b"Hello world!", status.hex(" "))
    good("the key goes, key length 0", spout(set_page(0, 0, key=b"")))
    same("page 0020h: both modes off, index 0, counter 3", spin(0x20)[1][5:12], "00 00 00 00 00 00 03")
    good("a 32-byte zero key with both modes off clears as well", spout(set_page(0, 0, flags=0, key=bytes(32))))


def refusals():
    refused("algorithm index 0", spout(set_page(index=0)), "Invalid field in parameter list", 8)
    refused("an encryption mode above the table", spout(set_page(encryption=3)), "Invalid field in parameter list", 6)
    refused("encrypt without a key", spout(set_page(key=b"")), "Invalid field in parameter list", 18)
    refused("a key of 31 bytes", spout(set_page(key=bytes(31))), "Invalid field in parameter list", 18)
    answer = spout(set_page()[:-1])
    check("a page cut short", answer.status != 0 and answer.says("Illegal Request"), answer)
    before = spin(0x20)[1]
    check("none of them changed anything", before[5:8] == bytes(3), before.hex(" "))
