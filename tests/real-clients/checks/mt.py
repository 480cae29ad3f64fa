"""mt from mt-st: what st(4) says about the place after each motion, and what it refuses."""

from checks.support import check, client, expect

NODE = "/sim/nst0"


def mt(*arguments):
    return client("mt", "-f", NODE, *arguments)


def dd(*arguments):
    return client("dd", "status=none", *arguments)


def at(name, file, block, *flags, block_length=0):
    """What `mt status` prints at a place."""
    answer = mt("status")
    bits = answer.out.strip().splitlines()[-1].split() if answer.out.strip() else []
    holds = answer.status == 0 and answer.says("SCSI 2 tape drive:", f"File number={file}, block number={block}, partition=0",
                                               f"Tape block size {block_length} bytes. Density code 0x5e .LTO-8")
    check(name, holds and bits == [*flags, "ONLINE", "IM_REP_EN"], f"wanted {file}, {block}, {flags}; {answer}")


def run():
    at("a blank tape stands at its beginning", 0, 0, "BOT")
    for count in (3, 2, 4):
        expect(f"a file of {count} blocks", dd("if=/dev/zero", f"of={NODE}", "bs=1024", f"count={count}"), 0)
    at("each close wrote a filemark", 3, 0, "EOF")
    files()
    blocks()
    positions()
    end_of_data()
    block_length()
    settings()
    rewinding_node()
    erase()
    offline()


def files():
    expect("rewind", mt("rewind"), 0)
    at("after rewind", 0, 0, "BOT")
    expect("fsf 2", mt("fsf", "2"), 0)
    at("after fsf 2", 2, 0, "EOF")
    expect("bsf 1", mt("bsf", "1"), 0)
    at("after bsf the block number is not known", 1, -1)
    expect("fsf 1 over the same filemark", mt("fsf", "1"), 0)
    at("after fsf", 2, 0, "EOF")
    expect("bsfm 1", mt("bsfm", "1"), 0)
    at("after bsfm", 2, 0, "EOF")
    expect("fsfm 1", mt("fsfm", "1"), 0)
    at("after fsfm: before the filemark", 2, -1)
    expect("asf 1", mt("asf", "1"), 0)
    at("after asf", 1, 0, "EOF")
    expect("bsf 9 reaches the beginning", mt("bsf", "9"), 2, "Input/output error")
    at("after that the beginning is known", 0, 0, "BOT")


def blocks():
    expect("fsr 2", mt("fsr", "2"), 0)
    at("after fsr 2", 0, 2)
    expect("bsr 1", mt("bsr", "1"), 0)
    at("after bsr 1", 0, 1)
    expect("fsr 7 stops at the filemark", mt("fsr", "7"), 2, "Input/output error")
    at("behind that filemark", 1, 0, "EOF")
    expect("bsr 1 stops at it from the other side", mt("bsr", "1"), 2, "Input/output error")
    at("before it again", 0, -1)


def positions():
    expect("seek 5", mt("seek", "5"), 0)
    expect("tell", mt("tell"), 0, "At block 5")
    at("after seek st knows neither file nor block", -1, -1)
    expect("seek 0", mt("seek", "0"), 0)
    at("but it knows the beginning", 0, 0, "BOT")
    expect("seek 500 is behind the end of data", mt("seek", "500"), 2, "Input/output error")
    expect("stsetoptions scsi2logical", mt("stsetoptions", "scsi2logical"), 0)
    expect("rewind", mt("rewind"), 0)
    expect("seek 3 with logical addresses", mt("seek", "3"), 0)
    expect("tell with logical addresses", mt("tell"), 0, "At block 3")
    expect("stclearoptions scsi2logical", mt("stclearoptions", "scsi2logical"), 0)


def end_of_data():
    expect("rewind", mt("rewind"), 0)
    expect("eod", mt("eod"), 0)
    at("eod counts the files", 3, -1, "EOD")
    answer = dd(f"if={NODE}", "of=/dev/null", "bs=64k")
    check("reading there is an error", answer.status == 1 and answer.says("Input/output error"), answer)
    expect("weof 2", mt("weof", "2"), 0)
    at("after weof 2", 5, 0, "EOF")
    expect("eof 1 is the same command", mt("eof", "1"), 0)
    at("after eof 1", 6, 0, "EOF")
    expect("setmarks are not for LTO drives", mt("wset", "1"), 2, "Input/output error")


def block_length():
    expect("setblk 512", mt("setblk", "512"), 0)
    expect("rewind", mt("rewind"), 0)
    at("the block length is shown", 0, 0, "BOT", block_length=512)
    answer = dd(f"if={NODE}", "of=/dev/null", "bs=512", "count=1")
    check("blocks of 1024 bytes are no blocks of 512", answer.status == 1 and answer.says("Input/output error"), answer)
    expect("seven blocks in one file", dd("if=/dev/zero", f"of={NODE}", "bs=3584", "count=1"), 0)
    answer = dd("if=/dev/zero", f"of={NODE}", "bs=700", "count=1")
    check("a write must be a whole number of blocks", answer.status == 1 and answer.says("Invalid argument"), answer)
    expect("rewind", mt("rewind"), 0)
    expect("they are read four at a time", client("dd", f"if={NODE}", "of=/dev/null", "bs=2048"), 0, r"1\+1 records in", "3584 bytes")
    at("behind them", 1, 0, "EOF", block_length=512)
    expect("setblk 0", mt("setblk", "0"), 0)
    at("variable again", 1, 0, "EOF")
    expect("a block longer than the drive takes", mt("setblk", "9000000"), 2, "Invalid argument")


def settings():
    expect("compression 0", mt("compression", "0"), 0)
    expect("the drive says so", client("tapeinfo", "-f", "/sim/sg0"), 0, "DataCompEnabled: no")
    expect("compression 1", mt("compression", "1"), 0)
    expect("the drive says so", client("tapeinfo", "-f", "/sim/sg0"), 0, "DataCompEnabled: yes")
    expect("lock", mt("lock"), 0)
    answer = client("sg_start", "--eject", "/sim/sg0")
    check("a locked drive does not eject", answer.status != 0, answer)
    expect("unlock", mt("unlock"), 0)
    expect("drvbuffer 1", mt("drvbuffer", "1"), 0)
    answer = mt("mkpartition", "0")
    check("partitions are an option of st that is off", answer.status == 2 and answer.says("Invalid argument"), answer)


def rewinding_node():
    expect("weof on the node that rewinds", client("mt", "-f", "/sim/st0", "weof", "1"), 0)
    at("the close rewound the tape", 0, 0, "BOT")


def erase():
    expect("erase", mt("erase"), 0)
    at("after erase", 0, 0, "BOT")
    expect("nothing is left", mt("eod"), 0)
    at("no file, no block", 0, -1, "EOD")


def offline():
    expect("offline", mt("offline"), 0)
    answer = mt("status")
    check("an empty drive", answer.status == 0 and answer.says("File number=-1, block number=-1", "DR_OPEN IM_REP_EN")
          and "ONLINE" not in answer.out, answer)
    answer = mt("rewind")
    check("nothing to rewind", answer.status != 0 and answer.says("No medium found"), answer)
    answer = client("tar", "-t", "-f", NODE)
    check("tar finds no medium and does not wait", answer.status == 2 and answer.says("No medium found"), answer)
    expect("load", mt("load"), 0)
    answer = mt("status")
    check("online again", answer.status == 0 and answer.says("Density code 0x5e .LTO-8", "ONLINE IM_REP_EN"), answer)
    expect("and at the beginning", mt("tell"), 0, "At block 0")
