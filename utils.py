"""What all stages share: exit codes, default paths, words, and files that appear whole."""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Protocol

# --- exit codes -------------------------------------------------------------------------------------------------------


class Exit(enum.IntEnum):
    """The exit codes of all scripts; 65 to 77 are those of BSD's sysexits.h."""

    DONE = 0
    FAULT = 1
    USAGE = 2
    BAD_DATA = 65
    NO_INPUT = 66
    UNREACHABLE = 69
    NO_RESOURCES = 71
    CANNOT_WRITE = 74
    LOCKED = 75
    NOT_ALLOWED = 77
    HUNG_UP = 129
    INTERRUPTED = 130
    KILLED = 137
    TERMINATED = 143


class StageError(Exception):
    """A foreseen failure: one line that says what, where and what to do next, and the exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[StageError], tuple[int, str]]:
        """Return what another process needs to make it again."""
        return StageError, (self.code, str(self))


# --- places -----------------------------------------------------------------------------------------------------------

PROJECT = Path(__file__).resolve().parent
COUNTRY_TABLE = PROJECT / "data" / "country_region_table.json"


def our_files() -> list[Path]:
    """Return our own code and the country table: other machines need them, and with them the rules change."""
    return [*sorted(PROJECT.glob("*.py")), *sorted((PROJECT / "gdp").rglob("*.py")), COUNTRY_TABLE]


def home() -> Path:
    """Return the folder of log/, results/, sqliteDB/ and data/pages/: GDP_ETL_HOME, or the project's."""
    return Path(os.path.abspath(os.environ.get("GDP_ETL_HOME") or PROJECT))  # noqa: PTH100 - one name for one file


def pages_folder() -> Path:
    """Return the folder of the cached pages."""
    return home() / "data" / "pages"


def raw_file(ending: str = ".json") -> Path:
    """Return where extract writes and transform reads by default; of many pages .jsonl, on Spark .parts."""
    return home() / "results" / f"Countries_by_GDP{ending}"


def clean_file(ending: str = ".json") -> Path:
    """Return where transform writes and load reads by default, with endings as raw_file has them."""
    return home() / "results" / f"Countries_by_GDP_Processed{ending}"


def report_file() -> Path:
    """Return where the report goes by default; plots/ is beside it."""
    return home() / "results" / "report.html"


def checks_file() -> Path:
    """Return where the findings of the checks go."""
    return home() / "results" / "Checks.json"


class Remote(Protocol):
    """A file that is not on this machine; gdp.remote_files opens it."""

    @property
    def name(self) -> str:
        """The last part of its name."""

    @property
    def stamp(self) -> str:
        """What changes when its content does."""

    def open_to_read(self) -> IO[bytes]:
        """Return it, open for reading."""

    def whole(self) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Return a file to write that appears whole."""


def log_file() -> Path:
    """Return the text log that every stage appends to."""
    return home() / "log" / "etl_project_with_sql_log.txt"


# --- words ------------------------------------------------------------------------------------------------------------

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
MAX_NAMED = 6  # a message names so many; the log or a file has all of them


def first_few(names: Iterable[str], separator: str = ", ") -> str:
    """Return the first MAX_NAMED names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - MAX_NAMED} more" if len(every) > MAX_NAMED else ""
    return separator.join(every[:MAX_NAMED]) + more


def from_here(text: str) -> str:
    """Return a text for the screen: paths below the current folder are shown relative to it."""
    return re.sub(rf"(?<![\w./-]){re.escape(os.getcwd())}/(?=\w)", "", text)  # noqa: PTH109 - a text is wanted


def with_commas(billion_usd: float) -> str:
    """Return a figure for people: two decimals, and commas between thousands."""
    return f"{billion_usd:,.2f}"


def percent(number: float, form: str = "+.2f") -> str:
    """Return a percentage; with a sign, as for a change, unless `form` is another."""
    return f"{number:{form}} %"


def escaped(text: str) -> str:
    """Return a text that can be encoded: the bytes of a file's name that are not UTF-8 become \\xff and the like."""
    try:
        return os.fsencode(text).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()


def printable(text: str) -> str:
    """Return a text as one line without control characters, so that no source forges a log line."""
    return "".join(c if c.isprintable() else " " for c in escaped(text)).strip()


# --- files ------------------------------------------------------------------------------------------------------------

_NO_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
_REMEDIES = {
    **dict.fromkeys([errno.ENOSPC, errno.EDQUOT, errno.EFBIG], "make room there, or choose another place"),
    **dict.fromkeys([errno.EACCES, errno.EPERM], "change its permissions, or choose another place"),
    **dict.fromkeys([errno.EMFILE, errno.ENFILE], "raise the limit of `ulimit -n`"),
    **dict.fromkeys([errno.ENOTDIR, errno.EEXIST, errno.EISDIR], "something else has that name; choose another place"),
    **dict.fromkeys([errno.ENOMEM, errno.EAGAIN], "end other programs"),
    **dict.fromkeys([errno.ENOENT, errno.ELOOP], "its folder, or what a link leads to, is not there; make it"),
    errno.EROFS: "it is on a read-only file system; choose another place",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: "the disk or the network drive failed; check it",
}


def file_problem(path: Path | str, error: OSError, doing: str = "write", code: int = Exit.CANNOT_WRITE) -> StageError:
    """Return the error for a file that cannot be written, or read: the path, the reason, and the remedy that fits."""
    remedy = _REMEDIES.get(error.errno or 0, "choose another place")
    code = Exit.NO_RESOURCES if error.errno in _NO_RESOURCES else code
    return StageError(code, f"cannot {doing} {path}: {error.strerror or error}; {remedy}, then run again")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError within into the StageError of file_problem: 74, or 71 where a resource is exhausted."""
    try:
        yield
    except OSError as error:
        raise file_problem(path, error) from error


def make_folder(folder: Path) -> None:
    """Create a folder where it is the data folder or below it; raises StageError (74) for any other that is missing.

    A mistyped path must not become folders.
    """
    if folder.is_dir():
        return
    if folder.is_symlink():
        problem = f"cannot write into {folder}: it is a link to {folder.readlink()}, which is no folder"
        raise StageError(Exit.CANNOT_WRITE, f"{problem}; make that folder, or remove the link")
    whole = Path(os.path.abspath(folder))  # noqa: PTH100 - a relative path, without following links
    below_home = [one for one in (whole, *whole.parents) if one == home() or home() in one.parents]
    if not (below_home and home().parent.is_dir()):
        problem = "it is no folder;" if folder.exists() else "there is no such folder; make it, or"
        raise StageError(Exit.CANNOT_WRITE, f"cannot write into {folder}: {problem} name another")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def whole_file(path: Path | Remote) -> Iterator[IO[bytes]]:
    """Yield a file to write that replaces `path` whole or not at all, also when the machine dies in between.

    Raises StageError (74) when it cannot be written; the file at `path` is then as it was.
    """
    if not isinstance(path, Path):
        with path.whole() as file:
            yield file
        return
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise StageError(Exit.CANNOT_WRITE, f"cannot write {path}: it is no regular file; name another")
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{time.time_ns()}.tmp")  # as in sweep
    with writing(path):
        try:
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                sync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def sweep(*folders: Path) -> None:
    """Remove half-written files of killed runs; only the holder of the lock may."""
    for folder in folders:
        for path in folder.glob(".*.tmp"):
            if re.fullmatch(r"\..+\.\d+-\d+\.tmp", path.name):
                path.unlink(missing_ok=True)


def write_whole(path: Path | Remote, content: bytes) -> None:
    """Write a file whole or not at all; one that has this content already gets a new time only. Raises StageError (74).

    So a run that changes nothing does not wait for the disk.
    """
    if isinstance(path, Path) and _has_content(path, content):
        return
    with whole_file(path) as file:
        file.write(content)


def _has_content(path: Path, content: bytes) -> bool:
    """Return whether a file has this content; if so, give it the time of now."""
    try:
        found = path.stat()
        is_same = stat.S_ISREG(found.st_mode) and found.st_size == len(content) and path.read_bytes() == content
        if is_same:
            os.utime(path)
    except OSError:
        return False
    return is_same


def sync(descriptor: int) -> None:
    """Wait until a file is on the disk; some file systems have no such call, which is no failure."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise


def sync_folder(folder: Path) -> None:
    """Wait until a rename is on the disk; not every file system can do this."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def stamp_of(path: Path | Remote) -> str:
    """Return a file's size and time, which show whether it has changed."""
    if not isinstance(path, Path):
        return path.stamp
    found = path.stat()
    return f"{found.st_size} bytes, {found.st_mtime_ns} ns"


def which_file(path: Path | Remote, sha256: str | None = None) -> str:
    """Return the file's fingerprint: its SHA-256 if known, else size and time."""
    return f"sha256:{sha256}" if sha256 else stamp_of(path)


_KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}  # fmt: skip


def open_to_read(path: Path | Remote) -> IO[bytes]:
    """Return a file, open for reading; raises StageError: 66 not there, not readable, no file; 71 out of descriptors.

    A pipe or a device may have no end, so it is no file.
    """
    if not isinstance(path, Path):
        return path.open_to_read()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise StageError(Exit.NO_INPUT, f"{path} is not there; run the stage that writes it, or name another") from None
    except OSError as error:
        raise file_problem(path, error, "read", Exit.NO_INPUT) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise StageError(Exit.NO_INPUT, f"{path} is {kind}, not a file; name a file")
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Path | Remote, limit_bytes: int | None = None) -> bytes:
    """Return a file's bytes; raises StageError as open_to_read does, and 65 where it is larger than a limit."""
    with open_to_read(path) as file:
        try:
            content = file.read(-1 if limit_bytes is None else limit_bytes + 1)
        except OSError as error:
            raise file_problem(str(path), error, "read", Exit.NO_INPUT) from error
    if limit_bytes is not None and len(content) > limit_bytes:
        raise StageError(Exit.BAD_DATA, f"{path} is over the limit of {limit_bytes // 1_000_000} MB; name another")
    return content
