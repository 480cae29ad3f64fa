"""Running a client and saying what was expected of it."""

import pathlib
import re
import shlex
import subprocess

passed = 0
failed = 0
# Each client's command line, and how many exchanges with a drive there were before it.
commands = []
folder = pathlib.Path()

CLIENT_SECONDS_MAX = 60


class Answer:
    """What a client came to."""

    def __init__(self, command, status, out, error):
        self.command, self.status, self.out, self.error = command, status, out, error
        self.text = out + error

    def says(self, *patterns):
        """Whether each pattern is found in what the client printed; blanks stand for any run of blanks."""
        return all(re.search(re.sub(r" +", r"\\s+", pattern), self.text, re.MULTILINE) for pattern in patterns)

    def __str__(self):
        return f"`{self.command}` ended with {self.status}: {self.text.strip()[:600]!r}"


def begin(where):
    global folder
    folder = where


def exchanges():
    """How many commands the drives have had."""
    record = folder / "record"
    return record.read_bytes().count(b"\n") if record.exists() else 0


def client(*arguments, data=None, shell=False, seconds=CLIENT_SECONDS_MAX):
    """Runs a client to its end, or kills it after a bounded time (status 124)."""
    command = arguments[0] if shell else shlex.join(arguments)
    commands.append((command.replace(str(folder), "DIR"), exchanges()))
    given = ["bash", "-c", arguments[0]] if shell else list(arguments)
    try:
        done = subprocess.run(given, input=data if data is not None else b"", capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as late:
        return Answer(command, 124, (late.stdout or b"").decode("latin-1"), f"killed after {seconds} s")
    return Answer(command, done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1"))


def check(name, holds, detail=""):
    """One check."""
    global passed, failed
    if holds:
        passed += 1
        print(f"ok {name}", flush=True)
    else:
        failed += 1
        print(f"FAILED {name}: {detail}", flush=True)


def expect(name, answer, status, *patterns):
    """Checks a client's exit status and that it printed all the patterns."""
    check(name, answer.status == status and answer.says(*patterns), f"wanted {status} and {patterns}; {answer}")


def settle_unit_attentions(node="/sim/sg0"):
    """Takes the unit attentions of a drive that was just switched on, as the first client of a real host does."""
    for _ in range(4):
        if client("sg_turs", node).status == 0:
            return


def write_file(name, data):
    """A file of that content; gives its path."""
    path = folder / name
    path.write_bytes(data)
    return str(path)
