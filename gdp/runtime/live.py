"""What a person at a terminal sees of a run: a line a stage while the stages are at work, and above it what they say.

A stage's words come to us through a pipe, so that they do not run into the lines, and so does what it prints: that is
shown once the stage has ended.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from gdp.runtime.run_log import run_log
from gdp.runtime.stage import LIVE_VARIABLE
from gdp.runtime.supervisor import Process
from utils import percent, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


REFRESHES_A_SECOND = 5
LAST_WORDS_S = 1.0  # how long to wait for the words of a stage that has ended, should it have left a child behind
MB = 1_000_000
NARROW_COLUMNS = 80  # under this a bar has no room
STYLES = {"waiting": "dim", "at work": "bold cyan", "done": "green"}


@dataclass
class Line:
    """What is shown of a stage."""

    state: str = "waiting"
    began: float | None = None
    seconds: float | None = None
    rows: int | None = None
    peak_mb: float = 0.0
    process: Process | None = None
    printed: bytearray = field(default_factory=bytearray)
    threads: list[threading.Thread] = field(default_factory=list)


class View:
    """The lines of a run's stages, kept up to date while they are shown."""

    def __init__(self, names: list[str], console: Console) -> None:
        self._console = console
        self._lines = {name: Line() for name in names}

    def streams(self) -> dict[str, Any]:
        """Return where a stage's process is to speak and print: to us; and that it may send its progress."""
        stdout = subprocess.PIPE if sys.stdout.isatty() else None
        shape = {"FORCE_COLOR": "1", "COLUMNS": str(self._console.width)} if stdout else {}
        return {"stderr": subprocess.PIPE, "stdout": stdout, "env": {**os.environ, **shape, LIVE_VARIABLE: "1"}}

    def follow(self, process: Process) -> None:
        """Listen to a stage's process."""
        line = self._lines[process.name]
        for stream, hear in ((process.popen.stderr, self._say), (process.popen.stdout, line.printed.extend)):
            if stream:
                line.threads.append(threading.Thread(target=_each_line, args=(stream, hear), daemon=True))
                line.threads[-1].start()

    def begin(self, process: Process) -> None:
        """Show that a stage is at work."""
        line = self._lines[process.name]
        line.state, line.began, line.process = "at work", time.monotonic(), process

    def end(self, name: str, state: str, rows: int | None = None, peak_mb: float = 0.0) -> None:
        """Show how a stage ended, once all that it said is heard, and what it printed."""
        line = self._lines[name]
        for thread in line.threads if line.began else []:  # one that had no turn says nothing
            thread.join(LAST_WORDS_S)
        line.seconds = time.monotonic() - line.began if line.began else None
        line.state, line.rows, line.peak_mb, line.process = state, rows, max(line.peak_mb, peak_mb), None
        if line.printed:
            from rich.text import Text

            self._console.print(Text.from_ansi(line.printed.decode(errors="replace")), soft_wrap=True)

    def _say(self, said: bytes) -> None:
        from rich.text import Text

        text = said.decode(errors="replace").rstrip("\n")
        goes_on = "  " * text.startswith(" ")  # a line of what the one before warns of
        style = "red" if "] error: " in text else "yellow" if "] warning: " in text or goes_on else "dim"
        self._console.print(Text(goes_on + printable(text), style=style))

    def table(self) -> Table:
        """Return the lines as they stand now."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for name in ("stage", "state"):
            table.add_column(name, no_wrap=True)
        for name in ("elapsed", "rows", "memory"):
            table.add_column(name, justify="right", no_wrap=True)
        cells = {name: self._cells(line) for name, line in self._lines.items()}
        sent = any(progress for *_, progress in cells.values())
        if sent:
            table.add_column("progress")
        for name, line in self._lines.items():
            state = Text(line.state, style=STYLES.get(line.state, "red"))
            table.add_row(name, state, *cells[name][: 4 if sent else 3])
        return table

    def _cells(self, line: Line) -> tuple[str, str, str, str]:
        running = time.monotonic() - line.began if line.process and line.began else line.seconds
        progress = ""
        if line.process:
            line.peak_mb = _memory_mb(line.process.popen.pid) or line.peak_mb
            sent = line.process.progress()
            if sent:
                line.rows, progress = sent[0], _progress(*sent, bar=self._console.width >= NARROW_COLUMNS)
        return (
            "" if running is None else f"{running:.1f} s",
            "" if line.rows is None else f"{line.rows:,}",
            f"{line.peak_mb:.0f} MB" if line.peak_mb else "",
            progress,
        )


@contextlib.contextmanager
def shown(names: list[str]) -> Iterator[View | None]:
    """Yield a view that is shown meanwhile; None where nobody watches."""
    if run_log.quiet or not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield None
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    view = View(names, console)
    with Live(get_renderable=view.table, console=console, refresh_per_second=REFRESHES_A_SECOND, redirect_stdout=False):
        yield view


def _each_line(stream: IO[bytes], hear: Any) -> None:
    for line in stream:
        hear(line)


def _progress(done: int, total: int, what: str, seconds_left: float, bar: bool) -> str:
    share = done / total if total else 0.0
    drawn = f"{'━' * round(share * 20):<20} " if bar else ""
    return f"{drawn}{percent(100 * share, '.0f')} of {total:,} {what}, {seconds_left:,.0f} s left"


def _memory_mb(pid: int) -> float:
    import psutil

    try:
        stage = psutil.Process(pid)
        return float(sum(one.memory_info().rss for one in (stage, *stage.children(recursive=True))) / MB)
    except psutil.Error:
        return 0.0
