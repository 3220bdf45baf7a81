"""Tables for people: with rich at a terminal, as plain aligned text in a pipe, a file or cron's mail."""

from __future__ import annotations

import contextlib
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
    from rich.table import Table

MOST_COLUMNS = 200  # wider, and the eye loses the line
WRAPPED_COLUMNS = 16  # what a column of words is wrapped to before others are left out
PADDING = 2  # between columns
SENT_EVERY_S = 0.2
PATIENCE_S = 2.0  # what is done sooner needs no telling of progress
STEPS_TOLD = 10  # how many lines tell of progress where there is no terminal

Row = Sequence[str]


class Screen(NamedTuple):
    """A table to show; the columns whose heading is in `numbers` are aligned to the right.

    Where a terminal is too narrow the columns in `spare` are left out, the first of them first. What stands `below`
    explains a mark.
    """

    title: str
    headings: Row
    rows: Sequence[Row]
    numbers: frozenset[str]
    spare: Row = ()
    below: str = ""


def show_table(screen: Screen) -> None:
    """Print a table to standard output; a figure never wraps, and a line says which columns had no room."""
    rows = [[printable(text) for text in row] for row in screen.rows]  # a page must not steer the terminal
    screen = screen._replace(rows=rows)
    if sys.stdout.isatty() or os.environ.get("FORCE_COLOR", "0") != "0":
        _show_rich(screen)
    else:
        print("\n".join(plain_lines(screen)))


def plain_lines(screen: Screen) -> list[str]:
    """Return a table as lines of text, two spaces between its columns, and an empty line at the end.

    Its figures are plain digits: what reads a pipe takes them for numbers.
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
    """Return the fewest columns without which a table fits, the least wanted first."""
    numbers = range(len(screen.spare))
    return next((screen.spare[:n] for n in numbers if _least_width(screen, screen.spare[:n]) <= width), screen.spare)


def _least_width(screen: Screen, hidden: Row = ()) -> int:
    """Return how wide a table is at the least: figures whole, words wrapped."""
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


@contextlib.contextmanager
def progress(total: int, what: str, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Yield what to call with how much was done: a bar with rate and time left at a terminal, else ten lines.

    `done` was done before, by a run that was interrupted.
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
        if done * STEPS_TOLD // total > (done - more) * STEPS_TOLD // total and seconds > PATIENCE_S:
            rate = (done - before) / seconds
            run_log.info(f"{done:,} of {total:,} {what}, {rate:,.0f} a second, {(total - done) / rate:.0f} s left")

    yield advance


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show at a terminal that we wait, and for how long, where it takes more than a moment."""
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
    """Return what sends progress to whoever started us, a few times a second."""
    began, before, sent_at = time.monotonic(), done, 0.0

    def advance(more: int) -> None:
        nonlocal done, sent_at
        done, now = done + more, time.monotonic()
        if now - sent_at >= SENT_EVERY_S:
            sent_at = now
            run_log.send_progress(done, total, what, (total - done) * (now - began) / max(done - before, 1))

    return advance
