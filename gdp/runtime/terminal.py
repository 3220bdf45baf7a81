"""What people see: tables, progress, and the stages of a run at work; plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from gdp.runtime.run_log import run_log
from gdp.runtime.stage import LIVE_VARIABLE
from gdp.runtime.supervisor import Account, Process
from utils import percent, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

MOST_COLUMNS = 200  # in a wider one the eye loses the line
WRAPPED_COLUMNS = 16  # a column of words is wrapped to this width before others are hidden
PADDING = 2  # between columns
NARROW_COLUMNS = 80  # under this a progress bar has no room
SENT_EVERY_S = 0.2
PATIENCE_S = 2.0  # work that takes less shows no progress
PROGRESS_LINES = 10  # where there is no terminal
REFRESHES_A_SECOND = 5
LAST_WORDS_S = 1.0  # how long to wait for the last lines of a stage that has ended, if a child of it lives on
HELD_BACK_S = 10.0  # so long a run in a pipe may turn out to change nothing
MB = 1_000_000
STYLES = {"waiting": "dim", "at work": "bold cyan", "done": "green"}

Row = Sequence[str]


# --- tables -----------------------------------------------------------------------------------------------------------


class Screen(NamedTuple):
    """A table to show; the columns whose heading is in `numbers` are aligned to the right.

    Where a terminal is too narrow the columns in `spare` are hidden, the first of them first. The line `below` explains
    a mark.
    """

    title: str
    headings: Row
    rows: Sequence[Row]
    numbers: frozenset[str]
    spare: Row = ()
    below: str = ""


def is_for_terminal() -> bool:
    """Return whether standard output goes to a terminal, directly or by way of the process that started this one."""
    return sys.stdout.isatty() or os.environ.get("FORCE_COLOR", "0") != "0"


def show_table(screen: Screen) -> None:
    """Print a table to standard output; a figure never wraps, and a line names the columns that had no room."""
    rows = [[printable(text) for text in row] for row in screen.rows]  # a page must not steer the terminal
    screen = screen._replace(rows=rows)
    if is_for_terminal():
        _show_rich(screen)
    else:
        print("\n".join(plain_lines(screen)))


def plain_lines(screen: Screen) -> list[str]:
    """Return a table as lines of text, two spaces between its columns, and an empty line at the end.

    Its figures are plain digits, as a program that reads a pipe expects.
    """
    headings, numbers = screen.headings, screen.numbers
    rows = [
        [text.replace(",", "") if name in numbers else text for text, name in zip(row, headings, strict=True)]
        for row in screen.rows
    ]
    widths = [max(len(text) for text in column) for column in zip(headings, *rows, strict=True)]

    def line(texts: Row) -> str:
        cells = zip(texts, widths, headings, strict=True)
        return "  ".join(t.rjust(w) if name in numbers else t.ljust(w) for t, w, name in cells).rstrip()

    lines = [screen.title, line(headings), line(["-" * width for width in widths]), *(line(row) for row in rows)]
    return [*lines, *[screen.below] * bool(screen.below), ""]


def _show_rich(screen: Screen) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    width = min(console.width, MOST_COLUMNS)
    hidden, below = _hidden(screen, width), [screen.below] * bool(screen.below)
    console.print(Text(screen.title, style="bold"), width=width)
    console.print(_rich_table(screen, hidden), width=width)
    if hidden:
        wide = _least_width(screen)
        wider = f" or a window of {wide} columns" * (wide <= MOST_COLUMNS)
        below.append(f"not shown: {', '.join(hidden)}; --json{wider} has all")
    if below:
        console.print(Text("\n".join([*below, ""]), style="dim"), width=width)


def _hidden(screen: Screen, width: int) -> Row:
    """Return the fewest columns to hide so that a table fits, the least wanted first."""
    numbers = range(len(screen.spare))
    return next((screen.spare[:n] for n in numbers if _least_width(screen, screen.spare[:n]) <= width), screen.spare)


def _least_width(screen: Screen, hidden: Row = ()) -> int:
    """Return the least width of a table: figures whole, words wrapped."""
    columns = zip(screen.headings, zip(screen.headings, *screen.rows, strict=True), strict=True)
    widths = {name: max(map(len, cells)) for name, cells in columns if name not in hidden}
    return sum(PADDING + (w if name in screen.numbers else min(w, WRAPPED_COLUMNS)) for name, w in widths.items())


def _rich_table(screen: Screen, hidden: Row) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, PADDING - 1, 0, 0))  # and a blank of the box
    shown = [(name, name in screen.numbers) for name in screen.headings if name not in hidden]
    for name, is_number in shown:
        table.add_column(Text(name), justify="right" if is_number else "left", no_wrap=is_number)
    for row in screen.rows:
        cells = dict(zip(screen.headings, row, strict=True))
        table.add_row(*(Text(cells[name], style=_style(cells[name], is_number)) for name, is_number in shown))
    return table


def _style(text: str, is_number: bool) -> str:
    if is_number and text.startswith(("+", "↑")):
        return "green"
    if is_number and text.startswith(("-", "↓")):
        return "red"
    return ""


# --- progress ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def progress(total: int, what: str, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with how much more is done: it shows a bar at a terminal, else ten lines.

    `done` is what an interrupted run had done before.
    """
    if run_log.sends_progress:
        yield _sent(total, what, done)
        return
    if not run_log.quiet and sys.stderr.isatty():
        with _bar(what) as bar:
            task = bar.add_task(what, total=total, completed=done)
            yield lambda more: bar.advance(task, more)
        return
    began, before = time.monotonic(), done

    def advance(more: int) -> None:
        nonlocal done, total
        done += more
        total = max(total, done)  # of a packed file, whose size is not that of its text
        seconds = time.monotonic() - began
        if done * PROGRESS_LINES // total > (done - more) * PROGRESS_LINES // total and seconds > PATIENCE_S:
            rate = (done - before) / seconds
            run_log.info(f"{done:,} of {total:,} {what}, {rate:,.0f} a second, {(total - done) / rate:.0f} s left")

    yield advance


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show at a terminal what is waited for, and for how long, if it takes more than a moment."""
    if run_log.sends_progress or run_log.quiet or not sys.stderr.isatty():
        yield
        return
    over, began = threading.Event(), time.monotonic()

    def spin() -> None:
        if over.wait(PATIENCE_S):
            return
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = SpinnerColumn(), TextColumn(what), TimeElapsedColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
            shown.add_task(what, total=None)
            shown.tasks[0].start_time = began
            over.wait()

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _bar(what: str) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """How many a second, once that is known."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "")

    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True))


def _sent(total: int, what: str, done: int) -> Callable[[int], None]:
    """Return a function that sends progress to the process that started this one, a few times a second."""
    began, before, sent_at = time.monotonic(), done, 0.0

    def advance(more: int) -> None:
        nonlocal done, sent_at
        done, now = done + more, time.monotonic()
        if now - sent_at >= SENT_EVERY_S:
            sent_at = now
            run_log.send_progress(done, total, what, (total - done) * (now - began) / max(done - before, 1))

    return advance


# --- a run's stages at work -------------------------------------------------------------------------------------------


class Viewer:
    """Shows a run's stages where there is no terminal: each stage writes to the run's own streams."""

    def streams(self) -> dict[str, Any]:
        """Return the arguments of Popen that name the streams of a stage's process and its environment."""
        return {}

    def follow(self, process: Process) -> None:
        """Read what a stage's process prints."""

    def begin(self, process: Process) -> None:
        """Show that a stage is at work."""

    def end(self, name: str, state: str, account: Account | None = None) -> None:
        """Show how a stage ended."""

    @property
    def is_seen(self) -> bool:
        """Return whether a person at a terminal has seen how the stages ended."""
        return False


class StageLine:
    """The line of one stage."""

    def __init__(self) -> None:
        self.state = "waiting"
        self.began: float | None = None
        self.seconds: float | None = None
        self.rows: int | None = None
        self.peak_mb = 0.0
        self.process: Process | None = None
        self.printed = bytearray()
        self.threads: list[threading.Thread] = []


class LiveViewer(Viewer):
    """Shows a run's stages at a terminal: one line a stage, kept up to date.

    Of a stage's messages only errors are shown, and the number of warnings at the end; the log has all of them. What a
    stage prints is shown when it has ended.
    """

    def __init__(self, names: list[str], console: Console) -> None:
        self._console = console
        self._lines = {name: StageLine() for name in names}

    @property
    def is_seen(self) -> bool:
        """Return whether a person at a terminal has seen how the stages ended."""
        return True

    def streams(self) -> dict[str, Any]:
        """Return the arguments of Popen that let a stage's process write to this one, and send its progress."""
        stdout = subprocess.PIPE if sys.stdout.isatty() else None
        shape = {"FORCE_COLOR": "1", "COLUMNS": str(self._console.width)} if stdout else {}
        return {"stderr": subprocess.PIPE, "stdout": stdout, "env": {**shape, LIVE_VARIABLE: "1"}}

    def follow(self, process: Process) -> None:
        """Read what a stage's process prints."""
        line = self._lines[process.name]
        for stream, take in ((process.popen.stderr, self._show_error), (process.popen.stdout, line.printed.extend)):
            if stream:
                line.threads.append(_reader(stream, take))

    def begin(self, process: Process) -> None:
        """Show that a stage is at work."""
        line = self._lines[process.name]
        line.state, line.began, line.process = "at work", time.monotonic(), process

    def end(self, name: str, state: str, account: Account | None = None) -> None:
        """Show how a stage ended, once all that it wrote is read, and what it printed."""
        line = self._lines[name]
        for thread in line.threads if line.began else []:  # a stage that had no turn writes nothing
            thread.join(LAST_WORDS_S)
        line.seconds = time.monotonic() - line.began if line.began else None
        line.state, line.process = state, None
        if account:
            line.rows = account.facts.get("rows_out")
            line.peak_mb = max(line.peak_mb, account.usage.peak_memory_mb)
        if line.printed:
            from rich.text import Text

            self._console.print(Text.from_ansi(line.printed.decode(errors="replace")), soft_wrap=True)

    def _show_error(self, line: bytes) -> None:
        from rich.text import Text

        text = line.decode(errors="replace").rstrip("\n")
        if "] error: " in text:
            self._console.print(Text(printable(text), style="red"), soft_wrap=True)

    def table(self) -> Table:
        """Return the lines as they are now."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for name in ("stage", "state"):
            table.add_column(name, no_wrap=True)
        for name in ("elapsed", "rows", "memory"):
            table.add_column(name, justify="right", no_wrap=True)
        cells = {name: self._cells(line) for name, line in self._lines.items()}
        has_progress = any(progress for *_, progress in cells.values())
        if has_progress:
            table.add_column("progress")
        for name, line in self._lines.items():
            state = Text(line.state, style=STYLES.get(line.state, "red"))
            table.add_row(name, state, *cells[name][: 4 if has_progress else 3])
        return table

    def _cells(self, line: StageLine) -> tuple[str, str, str, str]:
        running = time.monotonic() - line.began if line.process and line.began else line.seconds
        progress = ""
        if line.process:
            line.peak_mb = _memory_mb(line.process.popen.pid) or line.peak_mb
            sent = line.process.progress()
            if sent:
                line.rows, progress = sent[0], _progress_text(*sent, has_bar=self._console.width >= NARROW_COLUMNS)
        return (
            "" if running is None else f"{running:.1f} s",
            "" if line.rows is None else f"{line.rows:,}",
            f"{line.peak_mb:.0f} MB" if line.peak_mb else "",
            progress,
        )


class HoldingViewer(Viewer):
    """Shows a run of one page where there is no terminal: one that changes nothing shows warnings and errors only.

    So a stage's messages are held back until it is known what the run changed, though for no more than HELD_BACK_S.
    """

    def __init__(self) -> None:
        self._held: list[bytes] | None = []
        self._is_unchanged = False
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._timer = threading.Timer(HELD_BACK_S, self.release)
        self._timer.daemon = True
        self._timer.start()

    def streams(self) -> dict[str, Any]:
        """Return the arguments of Popen that let a stage's process write its messages to this one."""
        return {"stderr": subprocess.PIPE}

    def follow(self, process: Process) -> None:
        """Read a stage's messages."""
        if process.popen.stderr:
            self._threads.append(_reader(process.popen.stderr, self._take))

    def end(self, name: str, state: str, account: Account | None = None) -> None:
        """Show everything after a failure, or when the load has changed something."""
        if account and name == "load":
            self._is_unchanged = bool(account.facts.get("unchanged_since"))
        if state != "done" or (name == "load" and not self._is_unchanged):
            self.release()

    def finish(self) -> None:
        """Show what is left, once all of it is read."""
        self._timer.cancel()
        for thread in self._threads:
            thread.join(LAST_WORDS_S)
        self.release()

    def release(self) -> None:
        """Show everything that was held back, and hold back nothing any more."""
        with self._lock:
            held, self._held = self._held or [], None
            self._show(held)

    def _take(self, line: bytes) -> None:
        with self._lock:
            if self._held is None:
                self._show([line])
            else:
                self._held.append(line)

    def _show(self, lines: list[bytes]) -> None:
        shown = (line for line in lines if not self._is_unchanged or b"] warning: " in line or b"] error: " in line)
        sys.stderr.write(b"".join(shown).decode(errors="replace"))
        sys.stderr.flush()


@contextlib.contextmanager
def shown_run(names: list[str], is_short: bool) -> Iterator[Viewer]:
    """Yield what shows the stages of a run meanwhile; a short run is that of one page."""
    if run_log.quiet or not (is_short or sys.stderr.isatty()):
        yield Viewer()
    elif sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, highlight=False)
        viewer = LiveViewer(names, console)
        shown = Live(
            console=console, refresh_per_second=REFRESHES_A_SECOND, get_renderable=viewer.table, redirect_stdout=False
        )
        with shown:
            yield viewer
    else:
        holding = HoldingViewer()
        try:
            yield holding
        finally:
            holding.finish()


def _reader(stream: IO[bytes], take: Callable[[bytes], Any]) -> threading.Thread:
    """Return a thread that takes each line of a stream."""

    def read() -> None:
        for line in stream:
            take(line)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _progress_text(done: int, total: int, what: str, seconds_left: float, has_bar: bool) -> str:
    share = done / total if total else 0.0
    drawn = f"{'━' * round(share * 20):<20} " if has_bar else ""
    return f"{drawn}{percent(100 * share, '.0f')} of {total:,} {what}, {seconds_left:,.0f} s left"


def _memory_mb(pid: int) -> float:
    try:
        import psutil

        stage = psutil.Process(pid)
        return float(sum(one.memory_info().rss for one in (stage, *stage.children(recursive=True))) / MB)
    except Exception:  # a statistic must not fail a run: a system may have no /proc
        return 0.0
