"""mtx and the sg clients on a library of two drives, four slots and a place at the operator's door (reference: section 13)."""

from checks.support import check, client, expect

CHANGER = "/sim/sg2"


def mtx(*arguments):
    return client("mtx", "-f", CHANGER, *arguments)


def run():
    expect("the changer is the unit behind the drives", client("sg_inq", CHANGER), 0, "Peripheral device type: medium changer")
    expect("mtx inquiry", mtx("inquiry"), 0, "Product Type: Medium Changer", "Vendor ID: 'IBM")
    expect("mtx status", mtx("status"), 0, "2 Drives, 5 Slots . 1 Import/Export .", "Data Transfer Element 0:Empty",
           "Data Transfer Element 1:Empty", "Storage Element 1:Full :VolumeTag=A00001L8", "Storage Element 4:Empty",
           "Storage Element 5 IMPORT/EXPORT:Empty")
    expect("loaderinfo", client("loaderinfo", "-f", CHANGER), 0, "Number of Storage Elements: 4", "Number of Data Transfer Elements: 2",
           "Number of Import/Export Elements: 1")
    drives()
    moves()
    writing()


def drives():
    for bay, serial in ((0, "1013000101"), (1, "1013000102")):
        expect(f"drive {bay} has its serial number", client("sg_vpd", "-p", "0x80", f"/sim/sg{bay}"), 0, serial)
        expect(f"drive {bay} is empty", client("mt", "-f", f"/sim/nst{bay}", "status"), 0, "DR_OPEN")


def moves():
    expect("mtx load 1 0", mtx("load", "1", "0"), 0)
    expect("mtx load 2 1", mtx("load", "2", "1"), 0)
    for bay in (0, 1):
        expect(f"drive {bay} has a tape", client("mt", "-f", f"/sim/nst{bay}", "status"), 0, "File number=0, block number=0", "BOT ONLINE")
    expect("each in its drive", mtx("status"), 0, r"Data Transfer Element 0:Full .Storage Element 1 Loaded.:VolumeTag = A00001L8",
           r"Data Transfer Element 1:Full .Storage Element 2 Loaded.:VolumeTag = A00002L8", "Storage Element 1:Empty")
    answer = mtx("load", "3", "0")
    check("a full drive takes no second one", answer.status != 0 and answer.says("Drive 0 Full"), answer)
    expect("mtx transfer", mtx("transfer", "3", "5"), 0)
    expect("at the operator's door", mtx("status"), 0, "Storage Element 5 IMPORT/EXPORT:Full :VolumeTag=A00003L8")
    answer = mtx("transfer", "3", "4")
    check("nothing to take from an empty slot", answer.status != 0 and answer.says("Source Element Address .* is Empty|3B|Empty"), answer)
    expect("and back", mtx("transfer", "5", "3"), 0)


def writing():
    expect("tar writes to drive 1", client("tar", "-c", "-f", "/sim/nst1", "/etc/hostname"), 0)
    expect("mtx unload 2 1", mtx("unload", "2", "1"), 0)
    expect("the drive is empty again", client("mt", "-f", "/sim/nst1", "status"), 0, "DR_OPEN")
    expect("mtx unload 1 0", mtx("unload", "1", "0"), 0)
    expect("the tape in the other drive", mtx("load", "2", "0"), 0)
    expect("has what was written", client("tar", "-t", "-f", "/sim/nst0"), 0, "etc/hostname")
    expect("the serial number says which tape it is", client("sg_read_attr", "-f", "0x806", "/sim/sg0"), 0, "A00002L8")
    client("mtx", "-f", CHANGER, "unload", "2", "0")
