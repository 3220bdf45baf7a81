"""How a script begins and ends: before its imports, at a signal, and at its exit.

`start` is called before a script's other imports, and so this module imports almost nothing itself.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType, TracebackType
from typing import NoReturn

# etl_process.py starts a stage ahead of its turn, so that its imports overlap the stage before. This names three open
# descriptors: the pipe on which the stage waits for its turn, the pipe that takes its facts, and the lock.
DESCRIPTORS_VARIABLE = "GDP_ETL_STAGE_FDS"
SIGNALS = ("SIGHUP", "SIGINT", "SIGTERM")
_caught: list[int] = []  # of this process
PACKAGES = "pip install -r requirements.txt, then run again"
WINDOWS = "it runs on Linux and macOS; on Windows, run it in WSL: https://learn.microsoft.com/windows/wsl/install"
WITH_PASSWORD = r"(?i)\s*postgres(?:ql)?:(?://[^/?#]*:[^/?#]*@|.*[?&][^=]*password=)"


class Interruption(BaseException):
    """A signal has arrived: the program is to end, and its end to be recorded."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def code(self) -> int:
        """Return the exit code: 128 and the signal's number, as shells count."""
        return 128 + self.number


# --- the beginning ----------------------------------------------------------------------------------------------------


def start() -> None:
    """Prepare a script whose imports are still to come: they may fail, or be interrupted."""
    if sys.platform == "win32":
        sys.exit(f"error: cannot start {sys.argv[0]}: {WINDOWS}")
    catch_signals()
    sys.excepthook = _end_in_one_line
    hide_password()


def hide_password() -> None:
    """Start again with the database's URL in the environment if it has a password, as `ps` shows all arguments."""
    arguments, url = without_database(sys.argv[1:])
    if url and is_secret(url):
        from gdp.places import DATABASE_VARIABLE

        command = [*sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1], *arguments]
        os.execve(sys.executable, command, {**os.environ, DATABASE_VARIABLE: url})


def is_secret(url: str) -> bool:
    """Return whether a database's URL has a password."""
    import re

    return re.match(WITH_PASSWORD, url) is not None


def without_database(arguments: list[str]) -> tuple[list[str], str]:
    """Return the arguments without --database, and its value; "" where it is not given."""
    others, value, is_next = [], "", False
    for argument in arguments:
        name, equals, text = argument.partition("=")
        if is_next:
            value, is_next = argument, False
        elif name != "--database":
            others.append(argument)
        elif equals:
            value = text
        else:
            is_next = True
    return others, value


def catch_signals() -> None:
    """Let SIGHUP, SIGINT and SIGTERM raise Interruption, unless one is ignored already, as by nohup."""

    def stop(number: int, _frame: FrameType | None) -> None:
        ignore_signals()  # a second one must not stop the stopping
        raise Interruption(number)

    for name in SIGNALS:
        number = getattr(signal, name)
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
            _caught.append(number)


def ignore_signals() -> None:
    """Ignore from now on the signals that are caught; in a process that only calls a stage they are its own."""
    for number in _caught:
        signal.signal(number, signal.SIG_IGN)


# --- the end ----------------------------------------------------------------------------------------------------------


def end(code: int) -> NoReturn:
    """End the process at once: to unload pandas piece by piece costs a tenth of a whole run, and frees nothing."""
    import contextlib

    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream that the caller closed is None
            stream.flush()
    os._exit(code)


def _end_in_one_line(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Explain in one line why a script could not start; `main` explains everything that happens later."""
    from utils import Exit

    name = os.path.basename(sys.argv[0]).removesuffix(".py")  # noqa: PTH119 - pathlib may be what is missing
    if isinstance(error, Interruption):
        end(_record_stop(name, error))
    if isinstance(error, MemoryError | ImportError):
        from gdp.runtime.machine import is_out_of_memory, memory_problem

        if is_out_of_memory(error):
            sys.stderr.write(f"[{name}] error: cannot start: {memory_problem()}\n")
            end(Exit.NO_RESOURCES)
        remedy = PACKAGES if issubclass(kind, ModuleNotFoundError) else f"another version may be in the way: {PACKAGES}"
        sys.stderr.write(f"[{name}] error: cannot start: {error}; {remedy}\n")
        end(Exit.BAD_DATA)
    sys.__excepthook__(kind, error, traceback)


def _record_stop(name: str, stopped: Interruption) -> int:
    """Record that a signal ended this script before its work began; return the exit code."""
    from datetime import datetime, timezone

    from gdp.runtime.run_log import record_own_run, run_log

    if (
        DESCRIPTORS_VARIABLE not in os.environ
    ):  # else it is a stage that has had no turn, and there is nothing to record
        run_log.begin(name.removesuffix("_process"))
        run_log.stop(stopped.number)
        record_own_run(datetime.now(timezone.utc), 0.0, stopped.code)
    return stopped.code
