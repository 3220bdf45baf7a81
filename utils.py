"""What every stage shares: exit codes, records, places, the log, files, and how a stage starts, speaks and ends.

Nothing here knows a web page, a country or a table of the database.
"""

from __future__ import annotations

import argparse
import contextlib
import enum
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, NoReturn, TypedDict

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


# --- records ----------------------------------------------------------------------------------------------------------


class RawRecord(TypedDict):
    """One figure as the source has it; extract writes it, transform reads it."""

    Country: str
    GDP: str
    Year: str | None
    Column: str | None
    Unit: str | None
    Institution: str
    Source: str
    As_of: str


class CleanRecord(TypedDict):
    """One figure in billions of US dollars; transform writes it, load reads it."""

    Country: str
    ISO3: str | None
    Region: str | None
    Subregion: str | None
    Institution: str
    Year: int
    GDP_USD_billion: float
    As_of: str
    Source: str
    Note: str | None


Fields = Mapping[str, tuple[type, ...]]

_TEXT, _TEXT_OR_NULL = (str,), (str, type(None))
RAW_FIELDS: Fields = {
    "Country": _TEXT, "GDP": _TEXT, "Year": _TEXT_OR_NULL, "Column": _TEXT_OR_NULL,
    "Unit": _TEXT_OR_NULL, "Institution": _TEXT, "Source": _TEXT, "As_of": _TEXT,
}  # fmt: skip
CLEAN_FIELDS: Fields = {
    "Country": _TEXT, "ISO3": _TEXT_OR_NULL, "Region": _TEXT_OR_NULL, "Subregion": _TEXT_OR_NULL,
    "Institution": _TEXT, "Year": (int,), "GDP_USD_billion": (int, float), "As_of": _TEXT, "Source": _TEXT,
    "Note": _TEXT_OR_NULL,
}  # fmt: skip

# The one Note that decides something: load prefers a sourced column to one whose Note begins so.
UNSOURCED_NOTE = "column without a source"

# --- places -----------------------------------------------------------------------------------------------------------

PROJECT = Path(__file__).resolve().parent
COUNTRY_TABLE = PROJECT / "data" / "country_region_table.json"
SHIPPED_PAGES = PROJECT / "data" / "pages"


def home() -> Path:
    """Return the folder that log/, results/, sqliteDB/ and data/pages/ hang off: GDP_ETL_HOME, or the project's."""
    return Path(os.environ.get("GDP_ETL_HOME") or PROJECT).absolute()


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


def checks_file() -> Path:
    """Return where the findings of the checks on the figures go."""
    return home() / "results" / "Checks.json"


def log_file() -> Path:
    """Return the text log that every stage appends to."""
    return home() / "log" / "etl_project_with_sql_log.txt"


# --- log --------------------------------------------------------------------------------------------------------------

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
    """Append one line to the text log; one write a line, so that lines of several processes never mix.

    Raises StageError (74) when the log cannot be written.
    """
    line = f"{log_stamp(datetime.now(timezone.utc))}, {printable(message)}\n"
    path = log_file()
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(descriptor, line.encode("utf-8", "backslashreplace"))
        finally:
            os.close(descriptor)


class Journal:
    """What a stage has to say: every line goes to the log, and to standard error unless the run is quiet."""

    def __init__(self, stage: str, quiet: bool = False) -> None:
        self.stage = stage
        self.quiet = quiet

    def log(self, message: str) -> None:
        """Write a line to the log only."""
        append_log(f"[{self.stage}] {message}")

    def say(self, message: str) -> None:
        """Tell of a step: log and screen, but not the screen of a quiet run."""
        self.log(message)
        if not self.quiet:
            print(f"[{self.stage}] {printable(message)}", file=sys.stderr, flush=True)

    def warn(self, message: str) -> None:
        """Tell of something that deserves a look: log and screen, quiet or not."""
        self.log(f"warning: {message}")
        print(f"[{self.stage}] warning: {printable(message)}", file=sys.stderr, flush=True)


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


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file to write that replaces `path` whole or not at all, also when the machine dies in between.

    Raises StageError (74) when it cannot be written; whatever stood at `path` is then as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{time.time_ns()}.tmp")
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


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_records(path: Path, records: Iterable[Mapping[str, Any]]) -> tuple[int, str]:
    """Write records to `path`, an array for .json or one object a line for .jsonl, whole or not at all.

    Returns how many there were and the file's SHA-256; raises StageError (74).
    """
    lines = path.suffix == ".jsonl"
    before, between, after = (b"", b"\n", b"\n") if lines else (b"[\n", b",\n", b"\n]\n")
    count, sha256 = 0, hashlib.sha256()
    with whole_file(path) as file:

        def write(text: bytes) -> None:
            sha256.update(text)
            file.write(text)

        write(before)
        for count, record in enumerate(records, 1):
            write((between if count > 1 else b"") + json.dumps(record, ensure_ascii=False, allow_nan=False).encode())
        write(after if count or not lines else b"")
    return count, sha256.hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write one JSON value, indented for people, whole or not at all; raises StageError (74)."""
    with whole_file(path) as file:
        file.write(json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n")


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes; raises StageError (66) when it is not there or cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise StageError(Exit.NO_INPUT, f"{path} is not there; run the stage that writes it, or name another") from None
    except OSError as error:
        raise StageError(
            Exit.NO_INPUT, f"cannot read {path}: {error.strerror}; name a file that can be read"
        ) from error


def read_records(path: Path, fields: Fields) -> tuple[list[Any], str]:
    """Return the records of a .json array or .jsonl file, each checked against `fields`, and the file's SHA-256.

    Raises StageError: 66 when the file is missing, 65 when it is anything but such records, naming record and field.
    """
    content = read_bytes(path)
    try:
        found = _parse_json(content, lines=path.suffix == ".jsonl")
    except (ValueError, RecursionError) as error:
        raise bad_input(path, f"is not {path.suffix.lstrip('.') or 'json'}: {error}") from None
    if not isinstance(found, list) or not found:
        raise bad_input(path, "holds no records" if found == [] else "is not an array of records")
    for number, record in enumerate(found, 1):
        problem = record_problem(record, fields)
        if problem:
            raise bad_input(path, f"record {number}: {problem}")
    return found, hashlib.sha256(content).hexdigest()


def bad_input(path: Path, problem: str) -> StageError:
    """Return the error (65) that says what is wrong with a file and what to do."""
    return StageError(Exit.BAD_DATA, f"{path} {problem}; run the stage that writes it again")


def record_problem(record: object, fields: Fields) -> str | None:
    """Return what is wrong with the shape of a record, in a few words that name the field, or None."""
    if not isinstance(record, dict):
        return f"is not an object but {json.dumps(record, default=str)[:40]}"
    for name, types in fields.items():
        if name not in record:
            return f"field {name} is missing"
        # bool is an int to Python, but true is no year
        if not isinstance(record[name], types) or isinstance(record[name], bool):
            return f"field {name} is {json.dumps(record[name], default=str)[:40]}"
    return None


def _parse_json(content: bytes, lines: bool) -> Any:
    text = content.decode("utf-8-sig")
    if not text.strip():
        raise ValueError("it is empty")
    if lines:
        return [json.loads(line, parse_constant=_no_constant) for line in text.splitlines() if line.strip()]
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no figure")


# --- the command line -------------------------------------------------------------------------------------------------


def command_line(description: str, example: str) -> argparse.ArgumentParser:
    """Return a parser with what every script takes; its help ends in a command that can be pasted."""
    parser = argparse.ArgumentParser(
        description=description, epilog=f"example:\n  {example}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quiet", action="store_true", help="say only warnings and errors, and print no tables")
    return parser


# --- running a stage --------------------------------------------------------------------------------------------------

# etl_process.py starts a stage ahead of its turn, so that its imports overlap the stage before; this names the pipe on
# which the stage then waits for its turn.
TURN_VARIABLE = "GDP_ETL_TURN_FD"


def wait_for_turn() -> bool:
    """Wait until the orchestrator gives the turn, if one started us; return False when it went away instead."""
    descriptor = os.environ.pop(TURN_VARIABLE, None)
    if descriptor is None:
        return True
    try:
        return os.read(int(descriptor), 1) == b"\n"
    except (ValueError, OSError):
        return False


def run_stage(journal: Journal, work: Callable[[], None]) -> int:
    """Run a stage's work between its start and end lines in the log; return its exit code, whatever happens."""
    if not wait_for_turn():
        return Exit.TERMINATED
    started = time.monotonic()
    code = _outcome(journal, lambda: journal.log("start"), work)
    seconds = time.monotonic() - started
    if code == Exit.DONE:
        return _outcome(journal, lambda: journal.log(f"end: done after {seconds:.2f} s"))
    with contextlib.suppress(StageError):  # the log itself may be what cannot be written, and that has been told
        journal.log(f"end: failed, exit {code:d}, after {seconds:.2f} s")
    return code


def _outcome(journal: Journal, *steps: Callable[[], None]) -> int:
    try:
        for step in steps:
            step()
        sys.stdout.flush()
    except StageError as error:
        return _fail(journal, error.code, str(error))
    except KeyboardInterrupt:
        return _fail(journal, Exit.INTERRUPTED, "interrupted")
    except BrokenPipeError:
        # whoever read our output has seen enough of it; nothing is lost, and Python's own last flush must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # the last resort: a fault of ours is told in one line, its traceback kept in the log
        import traceback

        for line in traceback.format_exc().splitlines():
            with contextlib.suppress(StageError):
                journal.log(line)
        return _fail(journal, Exit.FAULT, f"a fault of ours: {error!r}; please report it with {log_file()}")
    return Exit.DONE


def _fail(journal: Journal, code: int, message: str) -> int:
    print(f"[{journal.stage}] error: {printable(message)}", file=sys.stderr, flush=True)
    with contextlib.suppress(StageError):
        journal.log(f"error: {message}")
    return code


def leave(code: int) -> NoReturn:
    """End the process at once: taking pandas apart piece by piece costs a tenth of a whole run, and frees nothing."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
