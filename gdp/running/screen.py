"""Tables for people: with rich at a terminal, as plain aligned text in a pipe, a file or cron's mail."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from gdp.running.journal import Journal
from utils import printable

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text

MOST_COLUMNS = 200  # wider, and the eye loses the line
WRAPPED_COLUMNS = 16  # what a column of words is wrapped to before others are left out
PADDING = 3  # between columns
SENT_EVERY_S = 0.2
PATIENCE_S = 2.0  # what is done sooner needs no telling of progress
STEPS_TOLD = 10  # how many lines tell of progress where there is no terminal

Row = Sequence[str]
_LARGE = re.compile(r"\d{4,}(?=\.\d)")


def show_table(title: str, headings: Row, rows: Sequence[Row], numbers: frozenset[str], spare: Row = ()) -> None:
    """Print a table to standard output; the columns whose heading is in `numbers` are aligned to the right.

    Where a terminal is too narrow, the columns in `spare` are left out, the first of them first, and a line says so: a
    figure never wraps. Thousands are set apart for people; what reads a pipe gets plain digits.
    """
    rows = [[printable(text) for text in row] for row in rows]  # a page must not steer the terminal
    if sys.stdout.isatty() or os.environ.get("FORCE_COLOR", "0") != "0":
        _show_rich(title, headings, rows, numbers, spare)
    else:
        print("\n".join(plain_lines(title, headings, rows, numbers)))


def plain_lines(title: str, headings: Row, rows: Sequence[Row], numbers: frozenset[str]) -> list[str]:
    """Return a table as lines of text, two spaces between its columns, and an empty line at the end."""
    widths = [max(len(text) for text in column) for column in zip(headings, *rows, strict=True)]

    def line(texts: Row) -> str:
        cells = zip(texts, widths, headings, strict=True)
        return "  ".join(t.rjust(w) if name in numbers else t.ljust(w) for t, w, name in cells).rstrip()

    return [title, line(headings), line(["-" * width for width in widths]), *(line(row) for row in rows), ""]


def _show_rich(title: str, headings: Row, rows: Sequence[Row], numbers: frozenset[str], spare: Row) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    width = min(console.width, MOST_COLUMNS)
    shown = [name for name in headings if name not in spare]
    for name in reversed(spare):
        with_it = [one for one in headings if one in (*shown, name)]
        if _least_width(with_it, headings, rows, numbers) > width:
            break
        shown = with_it
    console.print(Text(title, style="bold"), width=width)
    console.print(_rich_table(shown, headings, rows, numbers), width=width)
    if hidden := [name for name in headings if name not in shown]:
        how = "a wider window shows it, and --json has it"
        console.print(Text(f"Not shown: {', '.join(hidden)}; {how}\n", style="dim"), width=width)


def _least_width(shown: Row, headings: Row, rows: Sequence[Row], numbers: frozenset[str]) -> int:
    """Return how wide a table is at the least: figures whole, words wrapped."""
    texts = zip(headings, *([with_thousands(text) for text in row] for row in rows), strict=True)
    widths = dict(zip(headings, [max(map(len, column)) for column in texts], strict=True))
    return sum(PADDING + (widths[name] if name in numbers else min(widths[name], WRAPPED_COLUMNS)) for name in shown)


def _rich_table(shown: Row, headings: Row, rows: Sequence[Row], numbers: frozenset[str]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in shown:
        table.add_column(Text(name), justify="right" if name in numbers else "left", no_wrap=name in numbers)
    for row in rows:
        cells = dict(zip(headings, row, strict=True))
        table.add_row(*(_cell(cells[name], name in numbers) for name in shown))
    return table


def _cell(text: str, is_number: bool) -> Text:
    from rich.text import Text

    return Text(with_thousands(text) if is_number else text, style=_style(text, is_number))


def with_thousands(text: str) -> str:
    """Return a text of figures with their thousands set apart; a year, which has no decimals, stays as it is."""
    return _LARGE.sub(lambda whole: f"{int(whole[0]):,}", text)


def _style(text: str, is_number: bool) -> str:
    if is_number and text.startswith(("+", "↑")):
        return "green"
    if is_number and text.startswith(("-", "↓")):
        return "red"
    return ""


@contextlib.contextmanager
def progress(total: int, what: str, journal: Journal, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Yield what to call with how much was done: a bar with rate and time left at a terminal, else ten lines.

    `done` was done before, by a run that was interrupted.
    """
    if journal.is_watched:
        yield _sent(total, what, journal, done)
        return
    if not journal.quiet and sys.stderr.isatty():
        with _bar(what) as bar:
            task = bar.add_task(what, total=total, completed=done)
            yield lambda more: bar.advance(task, more)
        return
    began, before = time.monotonic(), done

    def advance(more: int) -> None:
        nonlocal done
        done += more
        seconds = time.monotonic() - began
        if done * STEPS_TOLD // total > (done - more) * STEPS_TOLD // total and seconds > PATIENCE_S:
            rate = (done - before) / seconds
            journal.say(f"{done:,} of {total:,} {what}, {rate:,.0f} a second, {(total - done) / rate:.0f} s left")

    yield advance


@contextlib.contextmanager
def waiting(what: str, journal: Journal) -> Iterator[None]:
    """Show at a terminal that we wait, and for how long, where it takes more than a moment."""
    if journal.is_watched or journal.quiet or not sys.stderr.isatty():
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


def _sent(total: int, what: str, journal: Journal, done: int) -> Callable[[int], None]:
    """Return what sends progress to whoever started us, a few times a second."""
    began, before, sent_at = time.monotonic(), done, 0.0

    def advance(more: int) -> None:
        nonlocal done, sent_at
        done, now = done + more, time.monotonic()
        if now - sent_at >= SENT_EVERY_S:
            sent_at = now
            journal.send_progress(done, total, what, (total - done) * (now - began) / max(done - before, 1))

    return advance
