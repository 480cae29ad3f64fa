"""stenc 1.0.7 on the tape node (reference: sections 3, 4, 8 and the decoded outputs of section 14.5).

This stenc sends algorithm index 0 unless -a is given, puts uninitialised memory into the KAD's reserved bits if the key has a description, and uses
freed memory when it finds a blank tape. The first two are refused by drives and so here; the third is why the tape gets a filemark first.
"""

from checks.support import check, client, expect, write_file

NODE = "/sim/nst0"


def stenc(*arguments):
    return client("stenc", "-f", NODE, *arguments, seconds=20)


def run():
    key = write_file("key", b"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F\n")
    named = write_file("named", b"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F\nmy first key\n")
    expect("status of an idle drive", stenc(), 0, "Drive Encryption: off")
    answer = stenc("--detail")
    check("detail of a blank tape, after which stenc uses freed memory and may crash",
          answer.status in (0, -11) and answer.says("Drive Encryption: off", "Volume Encryption: Unable to determine"), answer)
    client("mt", "-f", NODE, "weof", "1")
    client("mt", "-f", NODE, "rewind")
    expect("detail of an idle drive", stenc("--detail"), 0, "Device Mfg: IBM", "Product ID: ULT3580-TD8", "Drive Encryption: off",
           "Drive Output: Not decrypting", "Drive Input: Not encrypting", "Key Instance Counter: 0")
    expect("without -a stenc sends index 0, which the drive does not have", stenc("-e", "on", "-k", key), 1,
           r"Illegal Request \(0x05\)", "ASC: 0x26", "ASCQ: 0x00")
    expect("on", stenc("-e", "on", "-k", key, "-a", "1"), 0, "Success!")
    expect("detail after on", stenc("--detail"), 0, "Drive Encryption: on", "Drive Output: Decrypting",
           "Unencrypted data not outputted", "Drive Input: Encrypting", "Key Instance Counter: 1", "Encryption Algorithm: 1")
    expect("mixed", stenc("-e", "mixed", "-k", key, "-a", "1"), 0, "Success!")
    expect("detail after mixed", stenc("--detail"), 0, "Drive Encryption: mixed", "Unencrypted data outputted", "Key Instance Counter: 2")
    expect("rawread", stenc("-e", "rawread", "-k", key, "-a", "1"), 0, "Success!")
    expect("detail after rawread", stenc("--detail"), 0, "Drive Encryption: rawread", "Raw encrypted data outputted")
    expect("--ckod and --protect", stenc("-e", "on", "-k", key, "-a", "1", "--ckod", "--protect"), 0, "Success!")
    expect("detail after --protect", stenc("--detail"), 0, "Protecting from raw read")
    volume(key)
    demount(key)
    named_key(named)
    empty_drive(key)


def volume(key):
    """What stenc says of blocks on the tape."""
    source = write_file("source", b"a line that must not be on the tape\n" * 400)
    expect("tar writes encrypted", client("tar", "-c", "-b", "20", "-f", NODE, source), 0)
    client("mt", "-f", NODE, "rewind")
    expect("the volume is encrypted and the key fits", stenc("--detail"), 0, "Volume Encryption: Encrypted and able to decrypt",
           "Protected from raw read", "Volume Algorithm: 1")
    expect("tar reads with the key", client("tar", "-t", "-f", NODE), 0, "source")
    client("mt", "-f", NODE, "rewind")
    expect("off, with a 32-byte zero key as stenc sends it", stenc("-e", "off", "-a", "1"), 0, "Success!")
    expect("detail after off: the key does not fit any more", stenc("--detail"), 0, "Drive Encryption: off",
           "Encrypted, but unable to decrypt due to invalid key")
    expect("tar cannot read without the key", client("tar", "-t", "-f", NODE), 2, "Input/output error")
    other = write_file("other", b"FF" * 32 + b"\n")
    expect("another key", stenc("-e", "on", "-k", other, "-a", "1"), 0, "Success!")
    expect("tar cannot read with another key either", client("tar", "-t", "-f", NODE), 2, "Input/output error")
    expect("the first key again", stenc("-e", "on", "-k", key, "-a", "1"), 0, "Success!")
    expect("now tar reads, from where the failed reads left the tape", client("tar", "-t", "-f", NODE), 0, "source")


def demount(key):
    """CKOD: the key goes with the cartridge."""
    expect("--ckod", stenc("-e", "on", "-k", key, "-a", "1", "--ckod"), 0, "Success!")
    client("mt", "-f", NODE, "offline")
    client("mt", "-f", NODE, "load")
    expect("the key went with the cartridge", stenc("--detail"), 0, "Drive Encryption: off")


def named_key(named):
    """A described key goes in, or is refused for the byte that stenc left as it was in memory: never anything else."""
    answer = stenc("-e", "on", "-k", named, "-a", "1")
    refused = answer.status == 1 and answer.says("ASC: 0x26", "ASCQ: 0x00")
    check("a key with a description", (answer.status == 0 and answer.says("Success!")) or refused, answer)
    if not refused:
        expect("its description is shown", stenc("--detail"), 0, r"Drive Key Desc.\(uKAD\): my first key")
    stenc("-e", "off", "-a", "1")


def empty_drive(key):
    client("mt", "-f", NODE, "offline")
    answer = stenc()
    check("an empty drive answers on the tape node", answer.status == 1 and answer.says("0x7b"), answer)
    expect("and on the sg node it shows its status", client("stenc", "-f", "/sim/sg0", seconds=20), 0, "Drive Encryption: off")
    expect("with detail", client("stenc", "-f", "/sim/sg0", "--detail", seconds=20), 0, "Drive Encryption: off", "Key Instance Counter")
    answer = client("stenc", "-f", "/sim/sg0", "-e", "on", "-k", key, "-a", "1", "--ckod", seconds=20)
    check("--ckod without a volume", answer.status in (0, 1), answer)
    expect("on without a volume", client("stenc", "-f", "/sim/sg0", "-e", "on", "-k", key, "-a", "1", seconds=20), 0, "Success!")
