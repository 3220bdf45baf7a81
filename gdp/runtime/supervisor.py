"""A run's stages as processes: started ahead, given their turn, sampled, ended when they hang, and shown at work."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING, Any

from gdp.runtime.run_log import Usage, peak_memory_mb, run_log
from gdp.runtime.script import DESCRIPTORS_VARIABLE
from gdp.runtime.stage import LIVE_VARIABLE
from utils import PROJECT, Exit, StageError, home, percent, printable

if TYPE_CHECKING:
    import psutil
    from rich.console import Console
    from rich.table import Table

FIRST_SAMPLE_S = 1.0  # a run of one page is shorter; sampling must not cost it anything
GRACE_S = 5.0  # between SIGTERM and SIGKILL
LAST_WORDS_S = 1.0  # how long to wait for the last lines of a stage that has ended, if a child of it lives on
LOW_DISK_MB = 200  # a year of pages takes 20 MB, the database as much; SQLite wants room for a copy
LOW_MEMORY_MB = 300  # transform with pandas takes 100 MB
MB = 1_000_000
NARROW_COLUMNS, BAR_COLUMNS = 80, 20  # under the first a progress bar has no room
REFRESHES_A_SECOND = 5
HELD_BACK_S = 10.0  # so long a run in a pipe may turn out to change nothing
STYLES = {"waiting": "dim", "at work": "bold cyan", "done": "green"}


class Process:
    """A stage's process, our end of the pipe of its turn, what it printed and sent so far, and at last how it ended."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], turn: int) -> None:
        self.name, self.popen, self.turn = name, popen, turn
        self.progress: tuple[int, int, str, float] | None = None  # how many of how many, of what, and the seconds left
        self.facts: dict[str, Any] = {}
        self.printed = bytearray()
        self.over, self.timed_out = threading.Event(), False
        self.code, self.signal = 0, 0  # its exit code, and the signal that ended it, if one did
        self.usage: Usage | None = None  # once it has ended
        self.started, self.began = datetime.now(timezone.utc), time.monotonic()
        self._readers: list[threading.Thread] = []

    def read(self, stream: IO[bytes] | None, take: Callable[[bytes], Any]) -> None:
        """Let a thread take each line of a stream, if there is one."""

        def take_all(lines: IO[bytes]) -> None:
            with lines:
                for line in lines:
                    take(line)

        if stream:
            self._readers.append(threading.Thread(target=take_all, args=(stream,), daemon=True))
            self._readers[-1].start()

    def receive(self, line: bytes) -> None:
        """Take a line of the pipe for progress and, at the end, facts."""
        with contextlib.suppress(ValueError):  # a kill cut it short
            sent = json.loads(line)
            if sent.keys() == {"progress"}:
                self.progress = tuple(sent["progress"])
            else:
                self.facts = sent

    def wait(self) -> Usage:
        """Wait for its end and its last words; return what it used."""
        if self.usage is None:
            _, status, rusage = os.wait4(self.popen.pid, 0)
            self.usage = Usage(self.started, time.monotonic() - self.began, rusage, peak_memory_mb(rusage))
            code = self.popen.returncode = os.waitstatus_to_exitcode(status)
            self.code, self.signal = (code, 0) if code >= 0 else (128 - code, -code)  # as shells count
        self.over.set()
        for reader in self._readers:
            reader.join(LAST_WORDS_S)
        return self.usage

    def stop(self, number: int) -> Usage:
        """End it and all that it started by a signal; return what it used."""
        threading.Thread(target=self.end_group, args=(number,), daemon=True).start()
        return self.wait()

    def close(self) -> None:
        """End it if it is still there, and close our end of its pipe."""
        os.close(self.turn)
        if self.usage is None:
            self.stop(signal.SIGTERM)

    def end_group(self, number: int) -> None:
        """Send a signal to it and all that it started, and SIGKILL when they have not ended within GRACE_S."""
        # a suspended process gets a signal only when it continues
        for numbers, patience_s in (((number, signal.SIGCONT), GRACE_S), ((signal.SIGKILL,), 0.0)):
            with contextlib.suppress(ProcessLookupError):
                for one in numbers:
                    os.killpg(self.popen.pid, one)
            if self.over.wait(patience_s):
                return


def start_stage(name: str, arguments: list[str], lock: int, viewer: Viewer, secrets: dict[str, str]) -> Process:
    """Start a stage's process in a group of its own; it waits for its turn. Raises StageError (71) when it cannot.

    `secrets` go into its environment, as everybody may see its arguments.
    """
    pipes: list[int] = []  # of its turn: to read, to write; of its facts: to read, to write
    try:
        pipes += os.pipe()
        pipes += os.pipe()
        handed = [pipes[0], pipes[3], lock]
        streams = viewer.streams()
        environment = {
            "OPENBLAS_NUM_THREADS": "1",  # numpy's threads are of no use to 600 figures, and cost their start
            **os.environ, **streams.pop("env", {}), **secrets,
            DESCRIPTORS_VARIABLE: ",".join(map(str, handed)),
        }  # fmt: skip
        command = [sys.executable, str(PROJECT / f"{name}.py"), *arguments]
        popen = subprocess.Popen(command, env=environment, pass_fds=handed, process_group=0, **streams)
    except OSError as error:
        for descriptor in pipes:
            os.close(descriptor)
        problem = f"cannot start {name}.py: {error.strerror}; end other programs, or raise `ulimit -n` and `ulimit -u`"
        raise StageError(Exit.NO_RESOURCES, f"{problem}, then run again") from error
    os.close(pipes[0])
    os.close(pipes[3])
    process = Process(name, popen, pipes[1])
    process.read(os.fdopen(pipes[2], "rb"), process.receive)
    process.read(popen.stderr, viewer.show)
    process.read(popen.stdout, process.printed.extend)
    return process


def give_turn(process: Process, timeout_s: float | None, interval_s: float) -> Usage:
    """Give a stage its turn and wait for its end, sampling its resources; end its group after `timeout_s`."""
    process.started, process.began = datetime.now(timezone.utc), time.monotonic()

    def end_at_timeout() -> None:
        if timeout_s is not None and not process.over.wait(timeout_s):
            process.timed_out = True
            process.end_group(signal.SIGTERM)

    for watcher in (end_at_timeout, lambda: _sample(process, interval_s)):
        threading.Thread(target=watcher, daemon=True).start()
    with contextlib.suppress(BrokenPipeError):  # it ended before its turn, and its exit code shows why
        os.write(process.turn, b"\n")
    return process.wait()


def _sample(process: Process, interval_s: float) -> None:
    """Log what a stage and its children use, every `interval_s`, until it is over."""
    if process.over.wait(min(interval_s, FIRST_SAMPLE_S)):
        return
    with contextlib.suppress(Exception):  # a statistic must not fail a run: a system may have no /proc
        import psutil

        stage = psutil.Process(process.popen.pid)
        stage.cpu_percent()
        while not process.over.wait(interval_s):
            memory, count = _memory_mb(stage)
            free = psutil.virtual_memory().available / MB
            used = f"cpu {stage.cpu_percent():.0f} %, memory {memory:.0f} MB in {count} processes"
            free_mb = f"memory {free:.0f} MB, disk {free_disk_mb():.0f} MB"
            run_log.detail(f"resources: {process.name} {used}; free: {free_mb}")
            if free < LOW_MEMORY_MB:
                run_log.warn(f"only {free:.0f} MB of memory are free, under {LOW_MEMORY_MB}; end other programs")
            warn_of_low_disk()


def _memory_mb(stage: psutil.Process) -> tuple[float, int]:
    """Return the memory of a stage and its children, in MB, and their number."""
    group = [stage, *stage.children(recursive=True)]
    return sum(one.memory_info().rss for one in group) / MB, len(group)


def free_disk_mb() -> float:
    """Return how many megabytes are free where the results go."""
    disk = os.statvfs(next(folder for folder in (home(), *home().parents) if folder.exists()))
    return disk.f_bavail * disk.f_frsize / MB


def warn_of_low_disk() -> None:
    """Warn when the disk is nearly full: the next load may not fit."""
    free = free_disk_mb()
    if free < LOW_DISK_MB:
        run_log.warn(f"only {free:.0f} MB are free at {home()}, under {LOW_DISK_MB}; make room")


def log_usage(name: str, used: Usage) -> None:
    """Log what a stage used in all."""
    cpu = f"user {used.usage.ru_utime:.2f} s, system {used.usage.ru_stime:.2f} s"
    peak = f"peak memory {used.peak_memory_mb:.0f} MB"
    run_log.detail(f"resources: {name} wall {used.wall_s:.2f} s, {cpu}, {peak}; free disk {free_disk_mb():.0f} MB")


# --- what people see --------------------------------------------------------------------------------------------------


class Viewer:
    """Shows a run's stages where there is no terminal: each stage writes to the run's own streams."""

    is_seen = False  # whether a person at a terminal has seen how the stages ended

    def streams(self) -> dict[str, Any]:
        """Return the arguments of Popen that name the streams of a stage's process and its environment."""
        return {}

    def show(self, message: bytes) -> None:
        """Show a message of a stage, or not."""

    def begin(self, process: Process) -> None:
        """Show that a stage is at work."""

    def end(self, name: str, state: str, process: Process | None = None) -> None:
        """Show how a stage ended."""


class _LiveViewer(Viewer):
    """Shows a run's stages at a terminal: one line a stage, kept up to date.

    Of a stage's messages only errors are shown, and the number of warnings at the end; the log has all of them. What a
    stage prints is shown when it has ended.
    """

    is_seen = True

    def __init__(self, names: list[str], console: Console) -> None:
        self._console = console
        self._states = dict.fromkeys(names, "waiting")
        self._processes: dict[str, Process] = {}  # that have had their turn
        self._peak_mb: dict[str, float] = {}

    def streams(self) -> dict[str, Any]:
        stdout = subprocess.PIPE if sys.stdout.isatty() else None
        shape = {"FORCE_COLOR": "1", "COLUMNS": str(self._console.width)} if stdout else {}
        return {"stderr": subprocess.PIPE, "stdout": stdout, "env": {**shape, LIVE_VARIABLE: "1"}}

    def show(self, message: bytes) -> None:
        from rich.text import Text

        text = message.decode(errors="replace").rstrip("\n")
        if "] error: " in text:
            self._console.print(Text(printable(text), style="red"), soft_wrap=True)

    def begin(self, process: Process) -> None:
        self._states[process.name], self._processes[process.name] = "at work", process

    def end(self, name: str, state: str, process: Process | None = None) -> None:
        from rich.text import Text

        self._states[name] = state
        if process and process.printed:
            self._console.print(Text.from_ansi(process.printed.decode(errors="replace")), soft_wrap=True)

    def table(self) -> Table:
        """Return the lines as they are now."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for name in ("stage", "state", "elapsed", "rows", "memory"):
            table.add_column(name, justify="left" if name in ("stage", "state") else "right", no_wrap=True)
        progress = {name: process.progress for name, process in self._processes.items() if not process.usage}
        if any(progress.values()):
            table.add_column("progress")
        for name, state in self._states.items():
            cells = self._cells(self._processes[name]) if name in self._processes else []
            shown = progress.get(name)
            table.add_row(
                name, Text(state, style=STYLES.get(state, "red")), *cells, *([self._drawn(*shown)] if shown else [])
            )
        return table

    def _cells(self, process: Process) -> list[str]:
        """Return the elapsed time, the rows and the memory of a stage that has had its turn."""
        used, peak_mb = process.usage, self._peak_mb.get(process.name, 0.0)
        if used:
            seconds, rows, peak_mb = used.wall_s, process.facts.get("rows_out"), max(peak_mb, used.peak_memory_mb)
        else:
            seconds, rows = time.monotonic() - process.began, process.progress[0] if process.progress else None
            with contextlib.suppress(Exception):  # a statistic must not fail a run: a system may have no /proc
                import psutil

                peak_mb, _ = _memory_mb(psutil.Process(process.popen.pid))
        self._peak_mb[process.name] = peak_mb
        return [
            f"{seconds:.1f} s", "" if rows is None else f"{rows:,}", f"{peak_mb:.0f} MB" if peak_mb else "",
        ]  # fmt: skip

    def _drawn(self, done: int, total: int, what: str, seconds_left: float) -> str:
        share = done / total if total else 0.0
        bar = f"{'━' * round(share * BAR_COLUMNS):<{BAR_COLUMNS}} " * (self._console.width >= NARROW_COLUMNS)
        return f"{bar}{percent(100 * share, '.0f')} of {total:,} {what}, {seconds_left:,.0f} s left"


class _HoldingViewer(Viewer):
    """Shows a run of one page where there is no terminal: one that changes nothing shows warnings and errors only.

    So a stage's messages are held back until it is known what the run changed, though for no more than HELD_BACK_S.
    """

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._is_released = self._is_unchanged = False
        self._lock = threading.RLock()
        self._timer = threading.Timer(HELD_BACK_S, self.release)
        self._timer.daemon = True
        self._timer.start()

    def streams(self) -> dict[str, Any]:
        return {"stderr": subprocess.PIPE}

    def show(self, message: bytes) -> None:
        with self._lock:
            self._held.append(message)
            if self._is_released:
                self.release()

    def end(self, name: str, state: str, process: Process | None = None) -> None:
        if process and name == "load":
            self._is_unchanged = bool(process.facts.get("unchanged_since"))
        if state != "done" or (name == "load" and not self._is_unchanged):
            self.release()

    def release(self) -> None:
        """Show what was held back, and hold back nothing any more."""
        self._timer.cancel()
        with self._lock:
            held, self._held, self._is_released = self._held, [], True
            shown = (one for one in held if not self._is_unchanged or b"] warning: " in one or b"] error: " in one)
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
        viewer = _LiveViewer(names, console)
        often, table = REFRESHES_A_SECOND, viewer.table
        with Live(console=console, refresh_per_second=often, get_renderable=table, redirect_stdout=False):
            yield viewer
    else:
        holding = _HoldingViewer()
        try:
            yield holding
        finally:
            holding.release()
