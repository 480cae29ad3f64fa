"""GNU tar with several block sizes, appended, compared, compressed, and in volumes that follow each other on one tape."""

import hashlib
import os

from checks import support
from checks.support import check, client, expect, write_file

NODE = "/sim/nst0"


def tar(*arguments):
    return client("tar", "-f", NODE, *arguments)


def run():
    os.makedirs(support.folder / "tree")
    names = [f"tree/file{number}" for number in range(5)]
    for number, name in enumerate(names):
        write_file(name, hashlib.sha256(name.encode()).digest() * (1000 * number + 1))
    os.chdir(support.folder)
    block_sizes()
    operations()
    volumes(names)


def block_sizes():
    for factor, length in ((1, 512), (20, 10240), (128, 65536), (512, 262144), (2048, 1048576)):
        client("mt", "-f", NODE, "rewind")
        expect(f"tar writes blocks of {length} bytes", tar("-c", "-b", str(factor), "tree"), 0)
        client("mt", "-f", NODE, "rewind")
        expect("one block is as long", client(f"dd if={NODE} bs=2M count=1 status=none | wc -c", shell=True), 0, f"^{length}$")
        client("mt", "-f", NODE, "rewind")
        expect("tar finds the block size by itself" if factor > 20 else "tar compares", tar("-d", "-b", str(max(factor, 20))), 0)
    client("mt", "-f", NODE, "rewind")
    answer = tar("-t", "-b", "20")
    check("a block longer than tar's buffer", answer.status == 2 and answer.says("Cannot allocate memory"), answer)


def operations():
    client("mt", "-f", NODE, "rewind")
    expect("two archives one behind the other", tar("-c", "-b", "64", "tree/file0"), 0)
    expect("the second", tar("-c", "-b", "64", "tree/file1", "tree/file2"), 0)
    client("mt", "-f", NODE, "rewind")
    client("mt", "-f", NODE, "fsf", "1")
    expect("the second is found by fsf", tar("-t", "-b", "64"), 0, "tree/file1", "tree/file2")
    client("mt", "-f", NODE, "rewind")
    expect("tar appends to an archive", tar("-r", "-b", "64", "tree/file3"), 0)
    client("mt", "-f", NODE, "rewind")
    expect("and finds what it appended", tar("-t", "-b", "64"), 0, "tree/file0", "tree/file3")
    client("mt", "-f", NODE, "rewind")
    expect("compressed through a pipe", client(f"tar -c tree | gzip | dd of={NODE} bs=64k iflag=fullblock status=none", shell=True), 0)
    client("mt", "-f", NODE, "rewind")
    expect("and back", client(f"dd if={NODE} bs=64k status=none | gzip -d | tar -t", shell=True), 0, "tree/file4")
    expect("on the node that rewinds", client("tar", "-c", "-f", "/sim/st0", "tree"), 0)
    expect("it is read from the beginning", client("tar", "-d", "-f", "/sim/st0"), 0)
    expect("twice", client("tar", "-d", "-f", "/sim/st0"), 0)


def volumes(names):
    """-L ends a volume after so many KiB; the next one goes behind its filemark."""
    client("mt", "-f", NODE, "rewind")
    expect("tar writes several volumes", tar("-c", "-M", "-L", "100", "-F", "true", *names), 0)
    answer = client("mt", "-f", NODE, "status")
    check("one tape file for each", answer.says("File number=[4-9], block number=0"), answer)
    client("mt", "-f", NODE, "rewind")
    expect("tar reads them", client("mkdir", "out"), 0)
    expect("all of them", client("tar", "-x", "-f", NODE, "-M", "-F", "true", "-C", "out"), 0)
    expect("nothing is missing or different", client("diff", "-r", "tree", "out/tree"), 0)
