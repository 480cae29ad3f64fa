"""Shell redirection, dd and the rules of st that every program meets: one opener, blocks, errors at the right call."""

from checks.support import check, client, expect

NODE = "/sim/nst0"


def bash(script):
    return client(script, shell=True)


def run():
    redirection()
    one_opener()
    blocks()
    inheritance()
    nodes()


def redirection():
    expect("dd through a redirection", bash(f"dd if=/dev/zero bs=1k count=2 status=none > {NODE}"), 0)
    expect("cat through a redirection", bash(f"echo from cat | cat > {NODE}"), 0)
    expect("echo of bash, which writes around the C library's write", bash(f"echo from bash > {NODE}"), 0)
    expect("echo of dash", client("sh", "-c", f"echo from dash > {NODE}"), 0)
    expect("four files", client("mt", "-f", NODE, "status"), 0, "File number=4, block number=0")
    client("mt", "-f", NODE, "rewind")
    answer = bash(f"for file in 1 2 3 4; do cat < {NODE} | wc -c; done")
    check("they are read file by file", answer.out.split() == ["2048", "9", "10", "10"], answer)
    client("mt", "-f", NODE, "rewind")
    answer = bash(f"exec 3< {NODE}; for file in 1 2 3 4; do cat <&3 | wc -c; done")
    check("also through one descriptor", answer.out.split() == ["2048", "9", "10", "10"], answer)


def one_opener():
    answer = bash(f"exec 3< {NODE}; mt -f {NODE} status; echo $?; exec 3<&-; mt -f {NODE} status > /dev/null; echo $?")
    check("the second opener gets EBUSY", answer.out.split()[-2:] == ["1", "0"] and answer.says("Device or resource busy"), answer)
    answer = bash(f"exec 3< {NODE}; sg_turs /sim/sg0; echo $?; mt -f /sim/st0 status; echo $?")
    check("sg stays usable, the rewinding node is the same drive", answer.out.split() == ["0", "1"], answer)
    answer = bash(f"{{ sleep 30 & }} > {NODE}; mt -f {NODE} status; echo $?; kill %1; wait 2> /dev/null; mt -f {NODE} status | grep -c ONLINE")
    check("a child that inherited the tape holds it until it ends", answer.out.split()[:1] == ["1"] and answer.out.split()[-1:] == ["1"], answer)


def blocks():
    client("mt", "-f", NODE, "rewind")
    expect("a block of 4096 bytes", bash(f"dd if=/dev/zero of={NODE} bs=4096 count=3 status=none"), 0)
    client("mt", "-f", NODE, "rewind")
    answer = bash(f"dd if={NODE} of=/dev/null bs=1024 count=1")
    check("a buffer that is too short", answer.status == 1 and answer.says("Cannot allocate memory"), answer)
    expect("which skips that block", client("mt", "-f", NODE, "status"), 0, "File number=0, block number=1")
    expect("a longer buffer reads it", bash(f"dd if={NODE} of=/dev/null bs=64k count=1"), 0, r"0\+1 records in", "4096 bytes")
    answer = bash(f"dd if=/dev/zero of={NODE} bs=9M count=1")
    check("a block longer than the drive takes", answer.status == 1 and answer.says("Invalid argument"), answer)
    expect("the longest block", bash(f"dd if=/dev/zero of={NODE} bs=8M count=1 status=none"), 0)
    client("mt", "-f", NODE, "bsfm", "1")
    client("mt", "-f", NODE, "bsf", "1")
    client("mt", "-f", NODE, "bsr", "1")
    expect("comes back whole", bash(f"dd if={NODE} bs=8M count=1 status=none | wc -c"), 0, "^8388608")
    answer = bash(f"echo no > {NODE} 2>&1 < /dev/null; dd if=/dev/zero bs=1 count=1 status=none 1< {NODE}")
    check("a descriptor opened for reading is not written to", answer.status == 1 and answer.says("Bad file descriptor"), answer)


def inheritance():
    client("mt", "-f", NODE, "rewind")
    script = f"exec 4<> {NODE}; dd if=/dev/zero bs=512 count=2 status=none >&4; dd if=/dev/zero bs=256 count=1 status=none >&4; mt -f {NODE} status"
    answer = bash(script)
    check("two programs write one file one after the other", answer.says("Device or resource busy"), answer)
    expect("with one filemark behind it", client("mt", "-f", NODE, "status"), 0, "File number=1, block number=0")
    client("mt", "-f", NODE, "rewind")
    answer = bash(f"dd if={NODE} of=/dev/null bs=64k")
    check("and three blocks in it", answer.says(r"0\+3 records in", "1280 bytes"), answer)


def nodes():
    expect("the node is a character device", bash(f"test -c {NODE} && test -w {NODE} && test ! -x {NODE} && echo yes"), 0, "yes")
    answer = client("readlink", "-v", NODE)
    check("and no link", answer.status == 1 and answer.says("Invalid argument"), answer)
    answer = client("mt", "-f", "/sim/nst7", "status")
    check("there are no more nodes than drives", answer.status != 0 and answer.says("No such file or directory"), answer)
    answer = bash(f"env -i PATH=$PATH dd if=/dev/zero of={NODE} bs=1 count=1")
    check("without the shim nothing is written anywhere", answer.status == 1 and answer.says("No such file or directory"), answer)
