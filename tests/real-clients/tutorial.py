"""Runs docs/simulator.md: every line that begins with `$ ` in a console block, and compares what is printed with what the page shows.

`$ sg-sim run … -- bash` begins a session: what follows runs inside it until `$ exit`. All commands share one folder. With `fill` the
page is rewritten with what was really printed.
"""

import os
import pathlib
import subprocess
import tempfile

SECONDS_MAX = 120
MARK = "@@ end of command @@"


def commands_of(lines):
    """Gives (line of the command, command, first and last line of its output) for each command of the page."""
    found, inside, start = [], False, None
    for number, line in enumerate(lines):
        if line.startswith("```"):
            if start is not None:
                found.append((*start, start[0] + 1, number))
                start = None
            inside = line == "```console"
        elif inside and line.startswith("$ "):
            if start is not None:
                found.append((*start, start[0] + 1, number))
            start = (number, line[2:])
    return found


def sessions(commands):
    """Splits the commands: (what starts the session or nothing, commands)."""
    parts, current = [], (None, [])
    for command in commands:
        text = command[1]
        if text.startswith("sg-sim run") and text.endswith("-- bash"):
            parts.append(current)
            current = (text, [])
        elif text == "exit":
            parts.append(current)
            current = (None, [])
        else:
            current[1].append(command)
    return [part for part in parts + [current] if part[1]]


def run_session(start, commands, folder, program):
    """What each command of a session printed."""
    script = "".join(f"{text}\necho '{MARK}'\n" for _, text, _, _ in commands)
    path = pathlib.Path(folder, "script")
    path.write_text(script)
    line = f"{start} script" if start else "bash script"
    environment = dict(os.environ, PATH=f"{pathlib.Path(program).resolve().parent}:{os.environ['PATH']}", LC_ALL="C")
    done = subprocess.run(["bash", "-c", line], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=SECONDS_MAX, check=False)
    path.unlink()
    pieces = done.stdout.decode("utf-8", "replace").split(MARK + "\n")
    return [piece.replace("script: line ", "bash: line ").splitlines() for piece in pieces[: len(commands)]]


def trimmed(lines):
    return [line.rstrip() for line in lines]


def run(page, program, fill):
    """Gives how many commands printed what the page shows, and how many did not."""
    lines = page.read_text(encoding="utf-8").splitlines()
    passed, failed, edits = 0, 0, []
    with tempfile.TemporaryDirectory(prefix="tutorial-") as folder:
        for start, commands in sessions(commands_of(lines)):
            printed = run_session(start, commands, folder, program)
            for index, (_, text, first, behind) in enumerate(commands):
                got = trimmed(printed[index]) if index < len(printed) else ["(nothing: the session ended before)"]
                edits.append((first, behind, got))
                if got == trimmed(lines[first:behind]):
                    passed += 1
                    print(f"ok tutorial: {text}", flush=True)
                elif not fill:
                    failed += 1
                    print(f"FAILED tutorial: {text}: the page shows {lines[first:behind]}, printed was {got}", flush=True)
    if fill:
        for first, behind, got in reversed(edits):
            lines[first:behind] = got
        page.write_text("\n".join(lines) + "\n", encoding="utf-8")
        passed, failed = len(edits), 0
    return passed, failed
