"""A terminal of a given width, as a person has it: a real pseudo-terminal, and what a program wrote to it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

from tests.conftest import PROJECT

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def at_terminal(
    columns: int,
    script: str,
    *arguments: str | Path,
    stop_at: str = "",
    number: int = signal.SIGINT,
    **environment: str,
) -> tuple[str, int]:
    """Run a script at a terminal; return all that it wrote there, escape sequences included, and its exit code.

    Once it has written `stop_at`, it is sent the signal of that number.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, str(PROJECT / script), *map(str, arguments)],
        stdin=theirs, stdout=theirs, stderr=theirs, env={**inherited, "TERM": "xterm-256color", **environment},
    )  # fmt: skip
    os.close(theirs)
    written = bytearray()
    while True:
        try:
            more = os.read(ours, 65_536)
        except OSError:  # Linux's word for: nobody has it open any more
            break
        if not more:
            break
        written += more
        if stop_at and stop_at.encode() in written:
            stop_at = ""
            process.send_signal(number)
    os.close(ours)
    return written.decode(errors="replace").replace("\r\n", "\n"), process.wait()


def plain(text: str) -> str:
    """Return what was written without its escape sequences."""
    return ANSI.sub("", text)
