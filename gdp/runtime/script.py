"""How a script begins and ends: before its imports, at a signal, where memory is refused, and at its exit.

`start` is called before a script's other imports, and so this module imports almost nothing itself.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType, TracebackType
from typing import NoReturn

# etl_process.py starts a stage ahead of its turn, so that its imports overlap the stage before. This names three open
# descriptors: the pipe on which the stage waits for its turn, the pipe that takes its facts, and the lock.
DESCRIPTORS_VARIABLE = "GDP_ETL_STAGE_FDS"
SIGNALS = () if sys.platform == "win32" else (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_caught: list[int] = []  # of this process
PACKAGES = "pip install -r requirements.txt, then run again"
WINDOWS = "it runs on Linux and macOS; on Windows, run it in WSL: https://learn.microsoft.com/windows/wsl/install"
WITH_PASSWORD = r"(?i)\s*postgres(?:ql)?:(?://[^/?#]*:[^/?#]*@|.*[?&][^=]*password=)"


class Interruption(BaseException):
    """A signal: the program is to end, and its end to be recorded. `code` is 128 and the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number, self.code = number, 128 + number


def start() -> None:
    """Prepare a script whose imports are still to come: they may fail, or be interrupted."""
    if sys.platform == "win32":
        sys.exit(f"error: cannot start {sys.argv[0]}: {WINDOWS}")
    _catch_signals()
    sys.excepthook = _end_in_one_line
    sys.unraisablehook = _raise_again
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # else numpy, within pandas, keeps every core busy as it starts
    gc.disable()  # imports leave no garbage, and looking for it takes a sixth of pandas' import
    _hide_password()


def end_imports() -> None:
    """Collect garbage from now on; what the imports made is never looked at."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _catch_signals() -> None:
    """Let SIGHUP, SIGINT and SIGTERM raise Interruption, unless one is ignored already, as by nohup."""

    def stop(number: int, _frame: FrameType | None) -> None:
        ignore_signals()  # a second one must not stop the stopping
        raise Interruption(number)

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
            _caught.append(number)


def _raise_again(lost: sys.UnraisableHookArgs) -> None:
    """Raise an interruption a moment later if it arrived where Python drops exceptions, as when an object goes."""
    error = lost.exc_value
    if not isinstance(error, Interruption):
        sys.__unraisablehook__(lost)
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Interruption(error.number)

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.01)


def ignore_signals() -> None:
    """Ignore from now on the signals that are caught; in a process that only calls a stage they are its own."""
    for number in _caught:
        signal.signal(number, signal.SIG_IGN)


def _hide_password() -> None:
    """Start again with the database's URL in the environment if it has a password, as `ps` shows all arguments."""
    import re

    url, others, arguments = "", [], iter(sys.argv[1:])
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name == "--database":
            url = value if equals else next(arguments, url)
        else:
            others.append(argument)
    if re.match(WITH_PASSWORD, url):
        from gdp.places import DATABASE_VARIABLE

        command = [*sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1], *others]
        os.execve(sys.executable, command, {**os.environ, DATABASE_VARIABLE: url})


MIB = 2**20
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
NO_LIMIT_BYTES = 2**60  # what version 1 of cgroups shows where there is none is a little less than 2**63
# in the words of the loader of shared libraries, of threading, and of libraries that wrap an error
_NO_MEMORY = ("failed to map segment", "annot allocate memory", "can't start new thread")


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether the system refused memory: by the kind or the words of an error, or of what caused it."""
    import errno

    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        if any(words in str(error) for words in _NO_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


def memory_problem() -> str:
    """Return the message where the system refused memory: which limit there is, and how to raise it."""
    import contextlib
    import resource

    limits = {
        "`ulimit -v`": resource.getrlimit(resource.RLIMIT_AS)[0],
        "`ulimit -d`": resource.getrlimit(resource.RLIMIT_DATA)[0],
    }
    for path in CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:  # "max" is no number
            limits["the cgroup"] = int(file.read())
    known = {name: limit for name, limit in limits.items() if 0 <= limit < NO_LIMIT_BYTES}
    if not known:
        return "not enough memory; end other programs, or use --workers 1, then run again"
    name, limit = min(known.items(), key=lambda item: item[1])
    return f"not enough memory: {name} allows {limit / MIB:,.0f} MiB; raise it, or use --workers 1, then run again"


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
        _record_stop(name, error)
        end(error.code)
    if not isinstance(error, MemoryError | ImportError):
        sys.__excepthook__(kind, error, traceback)
        return
    if is_out_of_memory(error):
        code, problem = Exit.NO_RESOURCES, memory_problem()
    else:
        other = "" if isinstance(error, ModuleNotFoundError) else "another version may be in the way: "
        code, problem = Exit.BAD_DATA, f"{error}; {other}{PACKAGES}"
    sys.stderr.write(f"[{name}] error: cannot start: {problem}\n")
    end(code)


def _record_stop(name: str, stopped: Interruption) -> None:
    """Record that a signal ended this script before its work began, unless it is a stage that has had no turn."""
    from datetime import datetime, timezone

    from gdp.runtime.run_log import record_own_run, run_log

    if DESCRIPTORS_VARIABLE not in os.environ:
        run_log.begin(name.removesuffix("_process"))
        run_log.stop(stopped.number)
        record_own_run(datetime.now(timezone.utc), 0.0, stopped.code)
