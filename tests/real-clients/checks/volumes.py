"""A backup that is longer than a tape: tar meets the end, a script has the library change the tape, nothing is lost."""

import os

from checks import support
from checks.support import check, client, expect, write_file

NODE = "/sim/nst0"
CHANGER = "/sim/sg2"
# Slot by slot: gives the tape in the drive back and takes the next one.
CHANGE = """#!/bin/bash
exec > /dev/null 2>&1
slot=$(mtx -f {changer} status | sed -n 's/.*Element 0:Full (Storage Element \\([0-9]*\\).*/\\1/p')
mt -f {node} offline
mtx -f {changer} unload "$slot" 0
mtx -f {changer} load $((slot + 1)) 0
"""


def run():
    os.makedirs(support.folder / "tree")
    for number in range(6):
        write_file(f"tree/file{number}", os.urandom(800_000))
    script = write_file("change", CHANGE.format(changer=CHANGER, node=NODE).encode())
    os.chmod(script, 0o700)
    os.chdir(support.folder)
    expect("the first tape", client("mtx", "-f", CHANGER, "load", "1", "0"), 0)
    full_tape()
    expect("tar goes from tape to tape", client("tar", "-c", "-M", "-b", "64", "-F", script, "-f", NODE, "tree"), 0)
    expect("the third tape is in the drive", client("mtx", "-f", CHANGER, "status"), 0, "Element 0:Full .Storage Element 3 Loaded.")
    client("mt", "-f", NODE, "offline")
    client("mtx", "-f", CHANGER, "unload", "3", "0")
    expect("back to the first", client("mtx", "-f", CHANGER, "load", "1", "0"), 0)
    os.mkdir("out")
    expect("tar reads them all", client("tar", "-x", "-M", "-b", "64", "-F", script, "-f", NODE, "-C", "out"), 0)
    expect("nothing is missing or different", client("diff", "-r", "tree", "out/tree"), 0)


def full_tape():
    """Early warning lets the block through and ends the write after it with ENOSPC."""
    answer = client("dd", "if=/dev/zero", f"of={NODE}", "bs=64k")
    check("a tape that is full", answer.status == 1 and answer.says("No space left on device"), answer)
    answer = client("mt", "-f", NODE, "status")
    check("has its filemark all the same", answer.says("File number=1, block number=0"), answer)
    expect("rewind", client("mt", "-f", NODE, "rewind"), 0)
