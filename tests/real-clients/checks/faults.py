"""Every fault of docs/simulator-faults.md, ordered over the control socket, and what unmodified clients make of it."""

import json
import os
import re
import subprocess
import time

from checks import support
from checks.security import set_page, spin, spout
from checks.support import check, client, expect, settle_unit_attentions, write_file

DRIVE = "/sim/sg0"
TAPE = "/sim/nst0"
TEST_UNIT_READY = ["00"] * 6
WRITE, READ, TUR, SPIN = 0x0A, 0x08, 0x00, 0xA2


def order(*words):
    """What sg-sim control prints for an order."""
    command = [os.environ["SG_SIM"], "control", "--control", str(support.folder / "control"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        check(f"order {words}", False, done.stderr)
    return done.stdout


def fault(what, at=None, times=1, **more):
    order("fault", json.dumps({"at": at or {}, "do": {"what": what, **more}, "times": times}))


def mt(*arguments):
    return client("mt", "-f", TAPE, *arguments)


def write(blocks):
    return client("dd", "if=/dev/zero", f"of={TAPE}", "bs=64k", f"count={blocks}")


def read():
    return client("dd", f"if={TAPE}", "of=/dev/null", "bs=64k")


def sg_raw():
    return client("sg_raw", DRIVE, *TEST_UNIT_READY)


def status():
    return json.loads(order("status"))


def run():
    settle_unit_attentions()
    # st did not see that the tape is new, so it has to be told where it stands.
    expect("rewind", mt("rewind"), 0)
    sense()
    statuses()
    transport()
    hang_and_slow()
    events()
    keys()
    medium()
    pages()
    reset_by_the_host()
    check("every fault has struck", status()["faults"] == 0, status())


def sense():
    fault("sense", {"opcode": TUR}, sense="04/44/00")
    expect("sense: sg_raw shows it", sg_raw(), 3, "Hardware Error", "Internal target failure")
    expect("sense: and only once", sg_raw(), 0)
    fault("sense", {"opcode": WRITE, "nth": 2}, sense="03/0C/00")
    expect("sense at the second write: dd", write(3), 1, "error writing .*: Input/output error", r"1\+0 records out")
    expect("the close wrote a filemark behind the good block", mt("status"), 0, "File number=1, block number=0")
    expect("rewind", mt("rewind"), 0)
    fault("sense", {"opcode": WRITE}, sense="03/0C/00", executed=True)
    expect("sense behind an executed write: dd", write(1), 1, "Input/output error")
    expect("rewind", mt("rewind"), 0)
    expect("the block is on the tape all the same", read(), 0, r"1\+0 records in")
    expect("rewind", mt("rewind"), 0)
    fault("deferred", {"opcode": WRITE}, sense="03/0C/00")
    expect("deferred: an error of the write that brought it", write(1), 1, "Input/output error")
    fault("deferred", {"opcode": TUR}, sense="03/0C/00")
    expect("deferred: sg_raw says so", sg_raw(), 3, "[Dd]eferred", "Medium Error", "Write error")


def statuses():
    fault("status", {"opcode": TUR}, times=3, status=0x08)
    expect("BUSY is asked again until it is over", sg_raw(), 0, "SCSI Status: Good")
    fault("status", {"opcode": TUR}, times=3, status=0x28)
    expect("TASK SET FULL too", sg_raw(), 0, "SCSI Status: Good")
    fault("status", {"opcode": TUR}, status=0x18)
    expect("RESERVATION CONFLICT is told", sg_raw(), 24, "Reservation Conflict")
    expect("rewind", mt("rewind"), 0)
    fault("status", {"opcode": WRITE}, status=0x18)
    expect("to st it is an error like any other", write(1), 1, "Input/output error")


def transport():
    for host_status, name in [(1, "DID_NO_CONNECT"), (7, "DID_ERROR"), (14, "DID_TRANSPORT_DISRUPTED")]:
        fault("transport", {"opcode": TUR}, host_status=host_status)
        expect(f"transport {host_status}: sg_raw", sg_raw(), 99, f"Host_status=0x0?{host_status:x} .{name}")
    fault("transport", {"opcode": TUR}, host_status=8)
    expect("transport 8: without data the kernel sends it again", sg_raw(), 0, "SCSI Status: Good")
    expect("rewind", mt("rewind"), 0)
    fault("transport", {"opcode": WRITE, "nth": 2}, host_status=8)
    expect("transport 8: with data it is an error", write(3), 1, "Input/output error", r"1\+0 records out")
    expect("rewind", mt("rewind"), 0)
    fault("transport", {"opcode": WRITE, "nth": 2}, host_status=1, executed=True)
    expect("bus lost behind a write", write(2), 1, "Input/output error")
    expect("rewind", mt("rewind"), 0)
    expect("both blocks are on the tape", read(), 0, r"2\+0 records in")


def hang_and_slow():
    fault("hang", {"opcode": TUR})
    expect("hang: the time of a command runs out", sg_raw(), 99, "Host_status=0x03 .DID_TIME_OUT")
    expect("and that of st's look at the drive", mt("status"), 1, "Input/output error")
    check("the status says that it hangs", status()["hang"], status())
    order("hang", "off")
    expect("when the hang is over all is well", mt("rewind"), 0)
    fault("slow", {"opcode": TUR}, milliseconds=300)
    began = time.monotonic()
    expect("slow: the answer comes", sg_raw(), 0, "SCSI Status: Good")
    check("slow: late", time.monotonic() - began >= 0.3)


def events():
    for what, words in [("reset", "Bus device reset function occurred"), ("nexus-loss", "I_T nexus loss occurred"),
                        ("power-cycle", "Power on, reset, or bus device reset occurred")]:
        fault(what, {"opcode": TUR})
        expect(f"{what}: told as a unit attention", sg_raw(), 6, "Unit Attention", words)
        expect(f"{what}: once", mt("rewind"), 0)
    expect("two blocks", write(2), 0)
    expect("rewind", mt("rewind"), 0)
    fault("power-cycle", {"opcode": READ, "nth": 2})
    expect("a power cycle between two reads", read(), 1, "Input/output error", r"1\+0 records in")
    expect("rewind", mt("rewind"), 0)
    expect("nothing is lost", read(), 0, r"2\+0 records in")


def keys():
    key = write_file("key", b"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
    on = ("stenc", "-f", TAPE, "-e", "on", "-k", key, "-a", "1")
    expect("rewind", mt("rewind"), 0)
    expect("stenc -e on", client(*on), 0, "Success")
    fault("key-dropped", {"opcode": WRITE, "nth": 2})
    expect("key-dropped: the write that meets it fails", write(3), 1, "Input/output error", r"1\+0 records out")
    expect("key-dropped: stenc sees no key", client("stenc", "-f", TAPE), 0, "Drive Encryption: off")
    expect("key-dropped: what is written next is plain", write(1), 0)
    expect("one block each", client(os.environ["SG_SIM"], "inspect", str(support.folder / "tapes/SIM001L8.tape")), 0, "plain 1, encrypted 1")
    expect("stenc -e on", client(*on), 0, "Success")
    fault("key-changed", {"opcode": TUR})
    expect("key-changed", sg_raw(), 6, "Data encryption parameters changed by another i_t nexus")
    expect("key-changed: somebody else's key is in force", client("stenc", "-f", TAPE), 0, "Drive Encryption: mixed")
    expect("stenc -e off", client("stenc", "-f", TAPE, "-e", "off", "-a", "1"), 0, "Success")
    fault("library-takes-over", {"opcode": TUR})
    sg_raw()
    expect("library-takes-over: no key can be set", client(*on), 1)
    fault("library-takes-over", {"opcode": TUR}, mode="off")
    sg_raw()
    settle_unit_attentions()
    expect("and when the library gives it back one can", client(*on), 0, "Success")
    expect("stenc -e off", client("stenc", "-f", TAPE, "-e", "off", "-a", "1"), 0, "Success")


def medium():
    expect("rewind", mt("rewind"), 0)
    expect("five blocks", write(5), 0)
    expect("rewind", mt("rewind"), 0)
    fault("medium-error", {"opcode": READ, "block": 2})
    expect("medium-error at block 2: tar and dd get what is before it", read(), 1, "Input/output error", r"2\+0 records in")
    expect("the place behind it is not known", mt("status"), 0, "File number=0, block number=-1")
    expect("the drive counts it", client("sg_logs", "-p", "3", DRIVE), 0, "Total uncorrected errors = 1")
    expect("rewind", mt("rewind"), 0)
    fault("medium-error", {"opcode": WRITE, "block": 1})
    expect("medium-error at a write", write(3), 1, "Input/output error", r"1\+0 records out")


def pages():
    spout(set_page())
    whole = spin(0x20)[1]
    fault("short-page", {"page": 0x20}, bytes=5)
    got = spin(0x20)[1]
    check("short-page: five bytes", got == whole[:5], got.hex(" "))
    fault("long-page", {"page": 0x20}, extra=16)
    got = spin(0x20)[1]
    check("long-page: sixteen bytes more", got == whole + b"\xEE" * 16, got.hex(" "))
    fault("page-length", {"page": 0x20}, value=0xFFFF)
    got = spin(0x20)[1]
    check("page-length", got[2:4] == b"\xFF\xFF" and len(got) == len(whole), got.hex(" "))
    fault("page-code", {"page": 0x20}, value=0x21)
    got = spin(0x20)[1]
    check("page-code", got[:2] == b"\0\x21" and len(got) == len(whole), got.hex(" "))
    for what, more in [("short-page", {"bytes": 5}), ("page-length", {"value": 0xFFFF}), ("page-code", {"value": 0x21})]:
        fault(what, {"page": 0x20}, times=1, **more)
        answer = client("stenc", "-f", TAPE)
        check(f"{what}: stenc comes to an end", answer.status != 124, answer)


def reset_by_the_host():
    """What st does after sg_reset, as seen on Linux 6.1: the place is lost until the program positions the tape."""
    expect("rewind", mt("rewind"), 0)
    fault("hang", {"opcode": WRITE, "nth": 2})
    expect("hang at the second write", write(3), 1, "error writing .*: Input/output error")
    expect("sg_reset -d ends a hang", client("sg_reset", "-d", DRIVE), 0)
    expect("open takes the unit attention", mt("status"), 0, "File number=0, block number=0", "BOT ONLINE")
    expect("reading the block that was written", read(), 1, r"closing input file .*: Input/output error")
    expect("after that first error the place is lost", mt("status"), 0, "File number=-1, block number=-1")
    expect("and st lets nobody read", read(), 1, "error reading .*: Input/output error")
    expect("nor space", mt("fsf", "1"), 2, "Input/output error")
    expect("rewind finds the place again", mt("rewind"), 0)
    expect("it is the beginning", mt("status"), 0, "File number=0, block number=0", "BOT ONLINE")
