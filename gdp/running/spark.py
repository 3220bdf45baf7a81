"""Spark: starts it, sends it our code, and writes what the tasks of a job give. What a task does is the stages' own.

Our code travels to the workers as a zip; they need the packages of requirements.txt. Paths may be local, or whatever
the cluster's Hadoop knows (hdfs://, s3a://); a local path must be the same on every worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gdp.running.journal import Journal
from gdp.running.pieces import put_rejected
from utils import PROJECT, Exit, StageError, our_files, raw_file, read_bytes, writing

if TYPE_CHECKING:
    from pyspark import RDD, SparkContext

LINES, REJECTED, COUNTED = "lines", "rejected", "counted"  # what a task gives: text for one of the outputs, or counts
CONNECT_TIMEOUT_S = 20  # as Spark itself, for one try
TASKS_A_CORE = 4  # so that the last ones do not keep the others waiting
TEXT_INPUT = (
    "org.apache.hadoop.mapreduce.lib.input.TextInputFormat",
    "org.apache.hadoop.io.LongWritable",
    "org.apache.hadoop.io.Text",
)
QUIET_LOG = (
    "rootLogger.level = error\nrootLogger.appenderRef.stderr.ref = console\nappender.console.type = Console\n"
    "appender.console.name = console\nappender.console.target = SYSTEM_ERR\n"
    "appender.console.layout.type = PatternLayout\nappender.console.layout.pattern = %m%n\n"
)

_PART = re.compile(r"\.?_?part-[^/]*|\.?_SUCCESS(?:\.crc)?|\.part-[^/]*\.crc")
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # fcntl.h, linux/fs.h

Given = tuple[str, str]  # what it is for, and the text
Result = TypeVar("Result")


def is_remote(path: str) -> bool:
    """Tell whether a path is one that only Hadoop can open."""
    return "://" in path and not path.startswith("file://")


# --- what goes in, and what tasks give --------------------------------------------------------------------------------


def lines_of(context: SparkContext, source: str) -> RDD[tuple[int, str]]:
    """Return the lines of a file, or of a folder's files, each with its byte offset."""
    lines: RDD[tuple[int, str]] = context.newAPIHadoopFile(_uri(source), *TEXT_INPUT)
    return lines


def files_in(context: SparkContext, folder: str) -> RDD[tuple[str, bytes]]:
    """Return the files of a folder that only Hadoop can open, each with its path."""
    return context.binaryFiles(folder, context.defaultParallelism * TASKS_A_CORE)


def local_files(context: SparkContext, paths: list[Path], limit_bytes: int) -> RDD[tuple[str, bytes]]:
    """Return files of this machine, each with its path, in their order, for which load is quickest."""
    tasks = min(len(paths), context.defaultParallelism * TASKS_A_CORE)
    return context.parallelize([str(path.absolute()) for path in paths], tasks).map(
        partial(_with_content, limit_bytes=limit_bytes)
    )


def _with_content(path: str, limit_bytes: int) -> tuple[str, bytes]:
    """Return a file's path and bytes; none of what is no file, or larger than a page: that is told where it is read."""
    try:
        return path, read_bytes(Path(path), limit_bytes)
    except StageError:
        return path, b""


def given(lines: bytes, rejected: bytes, counted: Any) -> Iterator[Given]:
    """Yield what a task gives: lines of the output, lines of Rejected.jsonl, and what was counted, as JSON has it."""
    if lines:
        yield LINES, lines.decode().removesuffix("\n")
    if rejected:
        yield REJECTED, rejected.decode().removesuffix("\n")
    yield COUNTED, json.dumps(counted)


# --- its start and its end --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def started(master: str, journal: Journal) -> Iterator[SparkContext]:
    """Yield Spark, with our code on its way to the workers.

    Raises StageError: 2 without PySpark or Java, 69 where the master cannot be reached, 66 for a missing input, and 65
    for a job that failed again and again.
    """
    warnings.filterwarnings("ignore", module="pyspark")  # about pandas, which we do not hand to it
    try:
        from py4j.protocol import Py4JError
        from pyspark import SparkConf, SparkContext
        from pyspark.errors import PySparkException
    except ImportError:
        raise _no_spark("PySpark is not installed") from None
    _check_reachable(master)
    with tempfile.TemporaryDirectory() as folder:
        _prepare(Path(folder), master)
        conf = SparkConf().setMaster(master).setAppName("gdp-etl").set("spark.ui.enabled", "false")
        conf.set("spark.ui.showConsoleProgress", str(sys.stderr.isatty() and not journal.quiet).lower())
        try:
            context = SparkContext(conf=conf, pyFiles=[str(_our_code(Path(folder)))])
        except (PySparkException, Py4JError) as error:
            raise _start_problem(master, error) from error
        try:
            yield context
        except Py4JError as error:
            raise _job_problem(master, error, _has_stopped(context)) from error
        finally:
            context.stop()


def _check_reachable(master: str) -> None:
    """Raise StageError (69) where nobody listens at a cluster's master; Spark itself asks for a whole minute."""
    names = master.removeprefix("spark://").split(",") if master.startswith("spark://") else []
    for name in names:
        host, _, port = name.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_S).close()
            return
        except ValueError as error:
            raise StageError(Exit.USAGE, f"--master {master} is no spark://HOST:PORT: {error}; name another") from None
        except OSError as error:
            problem = error.strerror or str(error)
    if names:
        raise StageError(Exit.UNREACHABLE, f"Spark at {master} cannot be reached: {problem}; is it running?")


def _prepare(folder: Path, master: str) -> None:
    """Set what Spark reads from the environment: a quiet log, this Python for its workers, and where they find us."""
    (folder / "log4j2.properties").write_text(QUIET_LOG, encoding="ascii")
    os.environ.setdefault("SPARK_CONF_DIR", str(folder))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if master.startswith("local") or "127.0.0.1" in master:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")


def _our_code(folder: Path) -> Path:
    """Return our modules and the country table in one zip, which Python imports from."""
    path = folder / "gdp_etl.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in our_files():
            archive.write(file, file.relative_to(PROJECT))
    return path


def _no_spark(what: str) -> StageError:
    return StageError(
        Exit.USAGE, f"{what}; pip install -r requirements/spark.txt, and Java 17, for --engine spark; or run without"
    )


def _start_problem(master: str, error: Exception) -> StageError:
    if "JAVA_GATEWAY_EXITED" in str(error):
        return _no_spark("Java was not found or would not start")
    return StageError(Exit.UNREACHABLE, f"Spark at {master} cannot be reached: {_first_line(error)}; is it running?")


def _has_stopped(context: SparkContext) -> bool:
    """Tell whether Spark has given up by itself; what a job says then is only what it stumbled over."""
    from py4j.protocol import Py4JError

    jvm: Any = context._jsc
    try:
        return bool(jvm.sc().isStopped())
    except Py4JError:  # it is gone altogether
        return True


def _job_problem(master: str, error: Exception, has_stopped: bool) -> StageError:
    reason = _first_line(error)
    if has_stopped or "stopped SparkContext" in str(error) or "masters are unresponsive" in str(error):
        return StageError(Exit.UNREACHABLE, f"Spark at {master} cannot be reached, or left us; is it running?")
    if "Input path does not exist" in reason or "FileNotFoundException" in reason:
        return StageError(Exit.NO_INPUT, f"{reason}; run the stage that writes it, or name another")
    if "already exists" in reason:
        return StageError(Exit.CANNOT_WRITE, f"{reason}; remove it, or name another --output")
    return StageError(Exit.FAULT, f"the Spark job failed: {reason}; its own log tells more")


def _first_line(error: Exception) -> str:
    java = getattr(error, "java_exception", None)
    return next(iter(str(java or error).splitlines()), type(error).__name__)[:300]


def _uri(path: str) -> str:
    """Return a path as Hadoop takes it: a local one would else be looked for on the cluster's own file system."""
    return path if "://" in path else Path(path).absolute().as_uri()


# --- what comes out ---------------------------------------------------------------------------------------------------


def write(tasks: RDD[Given], target: str, stage: str, judged: Callable[[list[Any]], Result]) -> Result:
    """Write the lines into a folder of parts and what was set aside into Rejected.jsonl, beside it.

    Returns what `judged` makes of what the tasks counted; when that raises, no parts are written. Raises StageError
    (74) when something cannot be written. The tasks' output is kept on the workers' disks meanwhile, so that nothing
    is read and judged twice.
    """
    from pyspark import StorageLevel

    tasks.persist(StorageLevel.DISK_ONLY)
    counted = [json.loads(text) for text in tasks.filter(_is(COUNTED)).values().collect()]
    _write_rejected(tasks.filter(_is(REJECTED)).values().toLocalIterator(), target, stage)
    result = judged(counted)
    lines = tasks.filter(_is(LINES)).values()
    if is_remote(target):
        lines.saveAsTextFile(target)
    else:
        _write_parts(lines, Path(target))
    return result


def _is(kind: str) -> Callable[[Given], bool]:
    return lambda given: given[0] == kind


def _write_rejected(rejected: Iterator[str], target: str, stage: str) -> None:
    path = raw_file() if is_remote(target) else Path(target)
    put_rejected(path, stage, (line.encode() + b"\n" for line in rejected))


def _write_parts(lines: RDD[str], target: Path) -> None:
    """Put a local folder of parts in place of what is there, when it is whole."""
    part = target.absolute().with_name(f".{target.name}.part")
    with writing(target):
        shutil.rmtree(part, ignore_errors=True)
        lines.saveAsTextFile(part.as_uri())
        put_in_place(part, target.absolute())


def refuse_filled(target: str) -> None:
    """Raise StageError (74) where a local output stands already and holds anything but parts: it is somebody else's."""
    folder = Path(target)
    if is_remote(target) or not os.path.lexists(folder):
        return
    is_ours = folder.is_dir() and not folder.is_symlink()
    others = [path.name for path in folder.iterdir() if not _is_part(path)] if is_ours else [folder.name]
    if others:
        raise StageError(Exit.CANNOT_WRITE, f"cannot write {target}: it holds {others[0]}, not parts; name another")


def _is_part(path: Path) -> bool:
    return bool(_PART.fullmatch(path.name)) and path.is_file() and not path.is_symlink()


def put_in_place(part: Path, target: Path) -> None:
    """Put a folder in the place of another and remove that; killed at any moment, the one or the other is there.

    Raises OSError, and StageError (74) where somebody has put something into the old one meanwhile, which then stays.
    """
    if not target.is_dir():
        part.rename(target)
        return
    exchange(part, target)
    if not all(map(_is_part, part.iterdir())):
        exchange(part, target)
        refuse_filled(str(target))
    shutil.rmtree(part)


def exchange(one: Path, other: Path) -> None:
    """Let two folders change names at once, as Linux's kernel can: renameat2(2); elsewhere one after the other.

    Raises OSError.
    """
    import ctypes

    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 and not renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE):
        return
    aside = one.with_name(f"{one.name}.aside")
    other.rename(aside)
    one.rename(other)
    aside.rename(one)
