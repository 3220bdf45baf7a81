"""What people see of a stage: tables and progress; plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from gdp.runtime.run_log import run_log
from utils import printable

if TYPE_CHECKING:
    from rich.progress import Progress

MOST_COLUMNS = 200  # in a wider one the eye loses the line
WRAPPED_COLUMNS = 16  # a column of words is wrapped to this width before others are hidden
PADDING = 2  # between columns
SENT_EVERY_S = 0.2
PATIENCE_S = 2.0  # work that takes less shows no progress
PROGRESS_LINES = 10  # where there is no terminal
STYLES = {"+": "green", "↑": "green", "-": "red", "↓": "red"}  # of a figure, by its first sign

Row = Sequence[str]


class Screen(NamedTuple):
    """A table to show."""

    title: str
    headings: Row
    rows: Sequence[Row]
    numbers: frozenset[str]  # the headings of the columns that are aligned to the right
    spare: Row = ()  # what is hidden where a terminal is too narrow, the first of them first
    below: str = ""  # explains a mark


def is_for_terminal() -> bool:
    """Return whether standard output goes to a terminal, directly or by way of the process that started this one."""
    return sys.stdout.isatty() or os.environ.get("FORCE_COLOR", "0") != "0"


def show_table(screen: Screen) -> None:
    """Print a table to standard output; a figure never wraps, and a line names the columns that had no room."""
    screen = screen._replace(rows=[[printable(text) for text in row] for row in screen.rows])  # it must not steer us
    (_show_rich if is_for_terminal() else _show_plain)(screen)


def _show_plain(screen: Screen) -> None:
    """Print two spaces between the columns, figures as plain digits, as a program that reads a pipe expects."""
    headings, numbers = screen.headings, screen.numbers
    rows = [
        [text.replace(",", "") if name in numbers else text for text, name in zip(row, headings, strict=True)]
        for row in screen.rows
    ]
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    print(screen.title)
    for row in (headings, ["-" * width for width in widths], *rows):
        cells = zip(row, widths, headings, strict=True)
        print("  ".join(t.rjust(w) if name in numbers else t.ljust(w) for t, w, name in cells).rstrip())
    print(f"{screen.below}\n" if screen.below else "")


def _show_rich(screen: Screen) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    width = min(console.width, MOST_COLUMNS)
    hidden, below = _hidden(screen, width), [screen.below] * bool(screen.below)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, PADDING - 1, 0, 0))  # and a blank of the box
    shown = [(place, name in screen.numbers) for place, name in enumerate(screen.headings) if name not in hidden]
    for place, is_number in shown:
        table.add_column(Text(screen.headings[place]), justify="right" if is_number else "left", no_wrap=is_number)
    for row in screen.rows:
        table.add_row(
            *(Text(row[place], STYLES.get(row[place][:1], "") if is_number else "") for place, is_number in shown)
        )
    console.print(Text(screen.title, style="bold"), width=width)
    console.print(table, width=width)
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


# --- progress ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def progress(total: int, what: str, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with how much more is done than `done`: it shows a bar at a terminal, else ten lines."""
    watcher = run_log.progress_descriptor
    if watcher is None and not run_log.quiet and sys.stderr.isatty():
        with _bar(what) as bar:
            task = bar.add_task(what, total=total, completed=done)
            yield lambda more: bar.advance(task, more)
        return
    began, before, sent_at = time.monotonic(), done, 0.0

    def advance(more: int) -> None:
        nonlocal done, total, sent_at
        done += more
        total = max(total, done)  # of a packed file, whose size is not that of its text
        now = time.monotonic()
        seconds, is_tenth = now - began, done * PROGRESS_LINES // total > (done - more) * PROGRESS_LINES // total
        seconds_left = (total - done) * seconds / max(done - before, 1)
        if watcher is not None and now - sent_at >= SENT_EVERY_S:
            sent_at = now
            with contextlib.suppress(OSError):  # nobody watches any more
                os.write(watcher, json.dumps({"progress": [done, total, what, seconds_left]}).encode() + b"\n")
        elif watcher is None and is_tenth and seconds > PATIENCE_S:
            rate = (done - before) / seconds
            run_log.info(f"{done:,} of {total:,} {what}, {rate:,.0f} a second, {seconds_left:.0f} s left")

    yield advance


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show at a terminal what is waited for, and for how long, if it takes more than a moment."""
    if run_log.progress_descriptor is not None or run_log.quiet or not sys.stderr.isatty():
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
    from rich import progress as bars
    from rich.console import Console
    from rich.text import Text

    class Rate(bars.ProgressColumn):
        """How many a second, once that is known."""

        def render(self, task: bars.Task) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "")

    columns = bars.TextColumn(what), bars.BarColumn(), bars.MofNCompleteColumn(), Rate(), bars.TimeRemainingColumn()
    return bars.Progress(*columns, console=Console(stderr=True))
