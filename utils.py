"""What every stage shares: exit codes, places, the log, files that appear whole, and the lock.

Nothing here knows a web page, a country or a table of the database.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Protocol

# --- exit codes -------------------------------------------------------------------------------------------------------


class Exit(enum.IntEnum):
    """The exit codes of all scripts; 65 to 75 are those of BSD's sysexits.h, which cron's readers know."""

    DONE = 0
    FAULT = 1
    USAGE = 2
    BAD_DATA = 65
    NO_INPUT = 66
    UNREACHABLE = 69
    CANNOT_WRITE = 74
    LOCKED = 75
    INTERRUPTED = 130
    TERMINATED = 143


class StageError(Exception):
    """A failure that was foreseen: one line that says what, where and what to do next, and the exit code it ends in."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[StageError], tuple[int, str]]:
        """Let it cross from one process to another."""
        return StageError, (self.code, str(self))


# --- places -----------------------------------------------------------------------------------------------------------

PROJECT = Path(__file__).resolve().parent
COUNTRY_TABLE = PROJECT / "data" / "country_region_table.json"
HISTORY_FILE = PROJECT / "data" / "history.jsonl.gz"  # the vintages that come with the suite, as clean records
WORLD_MAP = PROJECT / "data" / "world_map.txt"
SHIPPED_PAGES = PROJECT / "data" / "pages"


def our_files() -> list[Path]:
    """Return our own code and the country table: what travels to other machines, and what tells that a rule changed."""
    return [*sorted(PROJECT.glob("*.py")), *sorted((PROJECT / "gdp").rglob("*.py")), COUNTRY_TABLE]


def home() -> Path:
    """Return the folder that log/, results/, sqliteDB/ and data/pages/ hang off: GDP_ETL_HOME, or the project's."""
    return Path(os.path.abspath(os.environ.get("GDP_ETL_HOME") or PROJECT))  # noqa: PTH100 - so that one file has one name


def pages_folder() -> Path:
    """Return the folder in which fetched pages are kept."""
    return home() / "data" / "pages"


def raw_file() -> Path:
    """Return where extract writes, and transform reads, unless told otherwise."""
    return home() / "results" / "Countries_by_GDP.json"


def clean_file() -> Path:
    """Return where transform writes, and load reads, unless told otherwise."""
    return home() / "results" / "Countries_by_GDP_Processed.json"


def database_file() -> Path:
    """Return where load keeps its tables unless told otherwise."""
    return home() / "sqliteDB" / "World_Economies.db"


def report_file() -> Path:
    """Return where the report goes; plots/ stands beside it."""
    return home() / "results" / "report.html"


def checks_file() -> Path:
    """Return where the findings of the checks on the figures go."""
    return home() / "results" / "Checks.json"


def raw_stream() -> Path:
    """Return where extract writes an archive, and transform reads it, a record a line."""
    return raw_file().with_suffix(".jsonl")


def clean_stream() -> Path:
    """Return where transform writes an archive, and load reads it."""
    return clean_file().with_suffix(".jsonl")


def raw_parts() -> Path:
    """Return the folder of parts that extract writes on Spark."""
    return raw_file().with_suffix(".parts")


def clean_parts() -> Path:
    """Return the folder of parts that transform writes on Spark, and load reads."""
    return clean_file().with_suffix(".parts")


class Elsewhere(Protocol):
    """A place that is no path of this machine; gdp.remote_files opens it."""

    @property
    def name(self) -> str:
        """The last part of its name."""

    @property
    def stamp(self) -> str:
        """What tells that it is still the same."""

    def open_to_read(self) -> IO[bytes]:
        """Return it, open to read."""

    def whole(self) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Return a file to write that is there when all of it is."""


def lock_file() -> Path:
    """Return the file whose lock says that a run is at work in this data folder."""
    return home() / "log" / ".lock"


def runs_file() -> Path:
    """Return the log for machines: one object a stage and run."""
    return home() / "log" / "runs.jsonl"


def log_file() -> Path:
    """Return the text log that every stage appends to."""
    return home() / "log" / "etl_project_with_sql_log.txt"


# --- words ------------------------------------------------------------------------------------------------------------

MAX_NAMED = 6  # a message names so many of what may be thousands; a log or a file beside it has them all


def first_few(names: Iterable[str], separator: str = ", ") -> str:
    """Return the first MAX_NAMED of several names in a row, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - MAX_NAMED} more" if len(every) > MAX_NAMED else ""
    return separator.join(every[:MAX_NAMED]) + more


def from_here(text: str) -> str:
    """Return a text for a screen: a path below the current folder is told from there on."""
    return re.sub(rf"(?<![\w./-]){re.escape(os.getcwd())}/(?=\w)", "", text)  # noqa: PTH109 - a text is wanted


def with_commas(billion_usd: float) -> str:
    """Return a figure as people read it: two decimals, its thousands by commas."""
    return f"{billion_usd:,.2f}"


def percent(number: float, form: str = "+.2f") -> str:
    """Return so many percent; with a sign, as of a change, unless `form` is another."""
    return f"{number:{form}} %"


# --- log --------------------------------------------------------------------------------------------------------------

LOG_LIMIT_BYTES = int(os.environ.get("GDP_ETL_LOG_LIMIT_BYTES") or 5_000_000)  # about two thousand runs
LOGS_KEPT = 9
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def log_stamp(moment: datetime) -> str:
    """Return a moment as Year-Monthname-Day-Hour-Minute-Second in UTC, in English whatever the locale."""
    moment = moment.astimezone(timezone.utc)
    return f"{moment:%Y}-{MONTHS[moment.month - 1]}-{moment:%d-%H-%M-%S}"


def printable(text: str) -> str:
    """Return text on one line without control characters: no source may forge a log line or steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def append_log(message: str) -> None:
    """Append one line to the text log; raises StageError (74)."""
    append_line(log_file(), f"{log_stamp(datetime.now(timezone.utc))}, {printable(message)}")


def append_line(path: Path, line: str) -> None:
    """Append a line to a log in one write, so that lines of several processes never mix; raises StageError (74)."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(descriptor, (line + "\n").encode("utf-8", "backslashreplace"))
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        if size > LOG_LIMIT_BYTES:
            _rotate(path)


def _rotate(path: Path) -> None:
    """Put a full log aside; no line is lost, as a process that has it open writes on to the file put aside."""
    descriptor = os.open(path.with_name(f".{path.name}.rotation"), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:  # nobody else has done it meanwhile
            for number in range(LOGS_KEPT - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    path.with_name(f"{path.name}.{number}").replace(path.with_name(f"{path.name}.{number + 1}"))
            path.replace(path.with_name(f"{path.name}.1"))
    finally:
        os.close(descriptor)


# --- files ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn any OSError within into the one-line StageError (74) that names the path."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StageError(
            Exit.CANNOT_WRITE, f"cannot write {path}: {reason}; make room there or choose another place, then run again"
        ) from error


_TEMPORARY = re.compile(r"\..+\.\d+-\d+\.tmp")


@contextlib.contextmanager
def whole_file(path: Path | Elsewhere) -> Iterator[IO[bytes]]:
    """Yield a file to write that replaces `path` whole or not at all, also when the machine dies in between.

    Raises StageError (74) when it cannot be written; whatever stood at `path` is then as it was.
    """
    if not isinstance(path, Path):
        with path.whole() as file:
            yield file
        return
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise StageError(Exit.CANNOT_WRITE, f"cannot write {path}: it is no regular file; name another")
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{time.time_ns()}.tmp")  # as _TEMPORARY says
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def write_whole(path: Path | Elsewhere, content: bytes) -> None:
    """Write a file whole or not at all; raises StageError (74)."""
    with whole_file(path) as file:
        file.write(content)


def _sync_folder(folder: Path) -> None:
    """Make a rename last; the file is there already, and not every file system can do this."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def stamp_of(path: Path | Elsewhere) -> str:
    """Return what tells that a large file is still the same, without reading it: its size and time."""
    if not isinstance(path, Path):
        return path.stamp
    found = path.stat()
    return f"{found.st_size} bytes, {found.st_mtime_ns} ns"


def which_file(path: Path | Elsewhere, sha256: str | None = None) -> str:
    """Return what tells which file is meant: its SHA-256 where somebody has read it all, else its size and time."""
    return f"sha256:{sha256}" if sha256 else stamp_of(path)


_KINDS = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)  # fmt: skip


def open_to_read(path: Path | Elsewhere) -> IO[bytes]:
    """Return a file, open to read; raises StageError: 66 not there, cannot be read, no file; 74 out of descriptors.

    What has no end, as a pipe or a device, is no file; nobody waits for its other end.
    """
    if not isinstance(path, Path):
        return path.open_to_read()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise StageError(Exit.NO_INPUT, f"{path} is not there; run the stage that writes it, or name another") from None
    except OSError as error:
        code = Exit.CANNOT_WRITE if error.errno in (errno.EMFILE, errno.ENFILE) else Exit.NO_INPUT
        raise StageError(code, f"cannot read {path}: {error.strerror}; name a file that can be read") from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")
        raise StageError(Exit.NO_INPUT, f"{path} is {kind}, not a file; name a file")
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Path | Elsewhere, limit_bytes: int | None = None) -> bytes:
    """Return a file's bytes; raises StageError as open_to_read does, and 65 where it is larger than a limit."""
    with open_to_read(path) as file:
        content = file.read(-1 if limit_bytes is None else limit_bytes + 1)
    if limit_bytes is not None and len(content) > limit_bytes:
        raise StageError(Exit.BAD_DATA, f"{path} is over the limit of {limit_bytes // 1_000_000} MB; name another")
    return content


# --- lock -------------------------------------------------------------------------------------------------------------

HOLDER_TOLD_WITHIN_S = 1.0  # between taking the lock and writing who holds it
ASK_AGAIN_S = 0.1


def take_lock(wait_s: float) -> int:
    """Return the open descriptor of this data folder's lock; it is held while anyone has that descriptor open.

    The kernel frees it on any death. Raises StageError (75), naming the holder, when it is not free within `wait_s`.
    """
    path = lock_file()
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)  # a link may lead to others' files
    deadline = time.monotonic() + wait_s
    while not _locked(descriptor):
        if time.monotonic() >= deadline:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise StageError(
                Exit.LOCKED, f"another run is at work in {home()}: {holder}; wait for it with --wait SECONDS"
            )
        time.sleep(ASK_AGAIN_S)
    with writing(path):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC".encode(), 0)
    sweep(home() / "results", home() / "results" / "plots", pages_folder())
    return descriptor


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    """Return the process that holds the lock and since when; its children hold it on when it has died."""
    for _ in range(int(HOLDER_TOLD_WITHIN_S / ASK_AGAIN_S)):
        process, _, since = os.pread(descriptor, 100, 0).decode("ascii", "replace").partition(" ")
        if since:
            return f"process {process}, started {since}"
        time.sleep(ASK_AGAIN_S)
    return "a process that has just started"


def sweep(*folders: Path) -> None:
    """Remove what killed runs left half-written; only the holder of the lock may."""
    for folder in folders:
        for path in folder.glob(".*.tmp"):
            if _TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)
