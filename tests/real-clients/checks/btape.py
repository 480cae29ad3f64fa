"""`btape test` of bacula-sd: its own programme for finding out whether a drive is fit for Bacula."""

from checks import support
from checks.support import check, client, write_file

CONFIGURATION = """
Storage {{ Name = sim-sd; WorkingDirectory = "{folder}"; Pid Directory = "{folder}"; SDPort = 19103; Maximum Concurrent Jobs = 2 }}
Director {{ Name = sim-dir; Password = "not used" }}
Messages {{ Name = Standard; director = sim-dir = all }}
Device {{
  Name = LTO; Media Type = LTO-8; Archive Device = /sim/nst0
  AutomaticMount = yes; AlwaysOpen = yes; RemovableMedia = yes; RandomAccess = no
  Maximum Block Size = 8192
}}
"""
SECONDS_MAX = 240


def run():
    path = write_file("bacula-sd.conf", CONFIGURATION.format(folder=support.folder).encode())
    answer = client("btape", "-c", path, "LTO", data=b"test\n\nquit\n", seconds=SECONDS_MAX)
    check("btape comes to its end", answer.status == 0, answer)
    for name, words in {
        "btape: write, rewind and re-read": "10000 blocks re-read correctly",
        "btape: block position": "Block 20000 re-read correctly",
        "btape: append": "We should be in file 3. I am at file 3. This is correct!",
        "btape: scan of the blocks": "Total files=4, blocks=7",
        "btape: write, backup and re-read": "Block re-read correct. Test succeeded!",
        "btape: forward space": "We should be in file 5. I am at file 5. This is correct!",
    }.items():
        check(name, words in answer.text, answer.text[-2000:])
    check("btape finds nothing wrong", "not correct" not in answer.text and "Error" not in answer.text, answer.text[-2000:])
