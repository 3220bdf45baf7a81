"""Tables for people: with rich at a terminal, as plain aligned text in a pipe, a file or cron's mail."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from stage import Journal
from utils import printable

STEPS_TOLD = 10  # how many lines tell of progress where there is no terminal

Row = Sequence[str]


def show_table(title: str, headings: Row, rows: Sequence[Row], numbers: frozenset[str]) -> None:
    """Print a table to standard output; the columns whose heading is in `numbers` are aligned to the right."""
    rows = [[printable(text) for text in row] for row in rows]  # a page must not steer the terminal
    if sys.stdout.isatty():
        _show_rich(title, headings, rows, numbers)
    else:
        print("\n".join(plain_lines(title, headings, rows, numbers)))


def plain_lines(title: str, headings: Row, rows: Sequence[Row], numbers: frozenset[str]) -> list[str]:
    """Return a table as lines of text, two spaces between its columns, and an empty line at the end."""
    widths = [max(len(text) for text in column) for column in zip(headings, *rows, strict=True)]

    def line(texts: Row) -> str:
        cells = zip(texts, widths, headings, strict=True)
        return "  ".join(t.rjust(w) if name in numbers else t.ljust(w) for t, w, name in cells).rstrip()

    return [title, line(headings), line(["-" * width for width in widths]), *(line(row) for row in rows), ""]


def _show_rich(title: str, headings: Row, rows: Sequence[Row], numbers: frozenset[str]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left")
    for name in headings:
        table.add_column(name, justify="right" if name in numbers else "left", no_wrap=name in numbers)
    for row in rows:
        table.add_row(*(escape(text) for text in row))
    Console().print(table)


@contextlib.contextmanager
def progress(total: int, what: str, journal: Journal, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Yield what to call with how much was done: a bar with rate and time left at a terminal, else ten lines.

    `done` was done before, by a run that was interrupted.
    """
    if not journal.quiet and sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        speed = TextColumn("{task.speed:,.0f}/s") if total else TextColumn("")
        columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), speed, TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(what, total=total, completed=done)
            yield lambda more: bar.advance(task, more)
        return
    began, before = time.monotonic(), done

    def advance(more: int) -> None:
        nonlocal done
        done += more
        if done * STEPS_TOLD // total > (done - more) * STEPS_TOLD // total:
            rate = (done - before) / max(time.monotonic() - began, 0.001)
            journal.say(f"{done:,} of {total:,} {what}, {rate:,.0f} a second, {(total - done) / rate:.0f} s left")

    yield advance
