"""What sg3-utils' clients print of an IBM LTO-8 drive (reference: INQUIRY, VPD, log, mode, MAM, operation codes)."""

from checks.support import check, client, expect

NODE = "/sim/sg0"


def run():
    unit_attentions()
    identity()
    logs()
    modes()
    memory()
    operation_codes()
    driver()


def unit_attentions():
    expect("sg_inq works before the unit attention is taken", client("sg_inq", NODE), 0, "IBM")
    expect("the first command reports power on", client("sg_turs", NODE), 6, "Power on, reset, or bus device reset occurred")
    expect("the second that a cartridge was loaded", client("sg_turs", NODE), 6,
           "Not ready to ready change, medium may have changed")
    expect("then the drive is ready", client("sg_turs", NODE), 0)
    expect("REQUEST SENSE has nothing to say", client("sg_requests", NODE), 0, "No Sense")


def identity():
    expect("sg_inq shows the drive", client("sg_inq", NODE), 0, "Peripheral device type: tape", "Vendor identification: IBM",
           "Product identification: ULT3580-TD8", "RMB=1", r"version=0x06 \[SPC-4\]", "Unit serial number: 1013000001")
    expect("sg_inq on the tape node shows the same drive", client("sg_inq", "/sim/nst0"), 0, "ULT3580-TD8")
    expect("VPD 00h lists the pages", client("sg_vpd", "-p", "0x00", NODE), 0, r"\[sv\]", r"\[sn\]", r"\[di\]", r"\[sad\]")
    expect("VPD 80h has the serial number", client("sg_vpd", "-p", "0x80", NODE), 0, "Unit serial number: 1013000001")
    expect("VPD 83h names unit and port", client("sg_vpd", "-p", "0x83", NODE), 0, "designator type: NAA",
           "vendor id: IBM", "ULT3580-TD8 1013000001", "Relative target port: 0x1")
    expect("VPD B0h says that the cartridge is no WORM", client("sg_vpd", "-p", "0xb0", NODE), 0, "WORM=0")
    answer = client("sg_vpd", "-f", "-p", "0xb9", NODE)
    check("a VPD page that no drive has is refused", answer.status != 0, answer)
    expect("REPORT LUNS has one unit", client("sg_luns", NODE), 0, "1 lun entry")
    expect("tapeinfo reads it all at once", client("tapeinfo", "-f", NODE), 0, "SerialNumber: '1013000001'", "MaxBlock: 8388608",
           "Density Code: 0x5e", "DataCompCapable: yes", "Ready: yes", "BOP: yes")


def logs():
    expect("log page 00h lists volume statistics and TapeAlert", client("sg_logs", NODE), 0, "0x17 ", "0x2e ")
    expect("log page 17h: a blank volume has no encrypted object", client("sg_logs", "-p", "0x17", NODE), 0, "Page valid: 1",
           "Volume serial number: SIM0000001", "Volume barcode: SIM001L8",
           r"first encrypted logical object: partition number: 0, partition record data counter: 0xffffffffffff")
    expect("log page 2Eh: no TapeAlert flag is set", client("sg_logs", "-p", "0x2e", NODE), 0, "Read warning: 0", "Clean")
    expect("log page 31h: 12 TB in MiB", client("sg_logs", "-p", "0x31", NODE), 0, "remaining capacity .in MiB.: 11444091")
    expect("an unknown log page is an invalid field", client("sg_logs", "-p", "0x3a", NODE), 5, "field in cdb illegal")


def modes():
    expect("sg_modes prints every page", client("sg_modes", "-a", NODE), 0, "medium type=0x88", "Density code=0x5e",
           ">> Control,", ">> Data Compression,", ">> Device configuration,")
    expect("the compression page says that compression is possible", client("sg_modes", "-p", "0x0f", NODE), 0, "0f 0e c0 80")
    expect("MODE SENSE(6) gives the same", client("sg_modes", "-6", "-p", "0x0f", NODE), 0, "0f 0e c0 80")
    expect("an unknown mode page is refused", client("sg_modes", "-p", "0x3e", NODE), 5)


def memory():
    expect("the cartridge's memory is readable", client("sg_read_attr", NODE), 0, "Medium serial number: SIM0000001",
           "Barcode: SIM001L8", "Medium density code: 0x5e", "Load count: 1",
           r"first encrypted block: <unknown> \[ff\]")
    expect("MAM 0401h alone", client("sg_read_attr", "-f", "0x401", NODE), 0, "Medium serial number: SIM0000001")


def operation_codes():
    expect("the operation codes are listed", client("sg_opcodes", NODE), 0, r"^ a2 .*Security protocol in",
           r"^ b5 .*Security protocol out", r"^ 0a .*Write\(6\)", r"^ 8c .*Read attribute")
    expect("one code by itself: SECURITY PROTOCOL OUT", client("sg_opcodes", "-o", "0xb5", NODE), 0, "b5")


def driver():
    expect("the nodes are character devices of sg and st", client("stat", "-c", "%F %t %T", NODE, "/sim/nst0", "/sim/st0"), 0,
           "character special file 15 0", "character special file 9 80", "character special file 9 0")
    answer = client("ls", "/sim")
    check("the folder does not exist", answer.status != 0 and answer.says("No such file or directory"), answer)

