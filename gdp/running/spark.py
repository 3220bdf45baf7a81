"""Extract and transform on Spark: the same functions on other machines, nothing of the rules written again.

Our code travels to the workers as a zip; they need the packages of requirements.txt. Paths may be local, or whatever
the cluster's Hadoop knows (hdfs://, s3a://); a local path must be the same on every worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdp.figures.bulk import refuse, tell
from gdp.figures.streams import Cleaned, Told, clean_lines, rejected_line
from gdp.running.command_line import BulkOptions
from gdp.running.journal import Journal
from gdp.running.pieces import put_rejected
from gdp.sources import Refused
from gdp.sources.archive import lines_of, pages_in
from gdp.sources.pages import page_of
from utils import PROJECT, Exit, StageError, our_files, raw_file, writing

if TYPE_CHECKING:
    from pyspark import RDD, SparkContext

LINES, REJECTED, TOLD = "lines", "rejected", "told"  # what a task gives: text for one of the outputs, or counts
TASKS_A_CORE = 4  # so that the last ones do not keep the others waiting
PAGES, RECORDS, UNREAD = "pages", "records", "pages not read"
BATCH_CHARACTERS = 2_000_000  # lines judged at once: some six thousand
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

Given = tuple[str, str]  # what it is for, and the text


def is_remote(path: str) -> bool:
    """Tell whether a path is one that only Hadoop can open."""
    return "://" in path and not path.startswith("file://")


# --- transform --------------------------------------------------------------------------------------------------------


def transform_on_spark(sources: list[str], target: str, master: str, many: BulkOptions, journal: Journal) -> None:
    """Clean the raw lines of files or folders into a folder of parts; raises StageError, and then leaves no parts."""
    with spark(master, journal) as context:
        cleaned = context.union([_cleaned(context, source) for source in sources])
        told = _write(cleaned, target, "transform", journal, partial(refuse, source=", ".join(sources), many=many))
    tell(told, ", ".join(sources), target if is_remote(target) else Path(target), journal)


def _cleaned(context: SparkContext, source: str) -> RDD[Given]:
    lines: RDD[tuple[int, str]] = context.newAPIHadoopFile(_uri(source), *TEXT_INPUT)
    return lines.mapPartitions(partial(clean_partition, source))


def clean_partition(source: str, lines: Iterable[tuple[int, str]]) -> Iterator[Given]:
    """Yield what becomes of a task's lines, each given with its byte offset."""
    for batch in _batches(lines):
        text = "".join(f"{line}\n" for _, line in batch).encode()
        yield from _given(clean_lines(text, source, [offset for offset, _ in batch]))


def _given(cleaned: Cleaned) -> Iterator[Given]:
    if cleaned.lines:
        yield LINES, cleaned.lines.decode().removesuffix("\n")
    if cleaned.rejects:
        yield REJECTED, cleaned.rejects.decode().removesuffix("\n")
    yield TOLD, json.dumps([cleaned.counts, cleaned.sums, cleaned.unknown])


def _batches(lines: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Yield lines with their offsets, so many at once as are worth the call."""
    size = 0
    batch: list[tuple[int, str]] = []
    for offset, line in lines:
        batch.append((offset, line))
        size += len(line)
        if size > BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


# --- extract ----------------------------------------------------------------------------------------------------------


def extract_on_spark(folder: str, target: str, master: str, many: BulkOptions, journal: Journal) -> None:
    """Read every page of a folder into a folder of parts; raises StageError, and then leaves no parts."""
    with spark(master, journal) as context:
        read = _pages(context, folder).mapPartitions(read_partition)
        told = _write(read, target, "extract", journal, partial(_refuse_pages, many=many))
    pages_read, unread = told.counts[PAGES], told.counts[UNREAD]
    journal.facts |= {"input": folder, "rows_in": pages_read + unread, "unread": unread, "output": target}
    journal.say(f"{told.counts[RECORDS]:,} raw records of {pages_read} pages written to {target}; {unread} not read")


def _pages(context: SparkContext, folder: str) -> RDD[tuple[str, bytes]]:
    """Return the pages of a folder; local ones in the order of their names, for which load is quickest."""
    tasks = context.defaultParallelism * TASKS_A_CORE
    if is_remote(folder):
        return context.binaryFiles(folder, tasks)
    paths = [str(path.absolute()) for path in pages_in(Path(folder.removeprefix("file://")))]
    return context.parallelize(paths, min(len(paths), tasks)).map(lambda path: (path, Path(path).read_bytes()))


def read_partition(pages: Iterable[tuple[str, bytes]]) -> Iterator[Given]:
    """Yield what becomes of a task's pages."""
    for path, content in pages:
        try:
            lines = lines_of(page_of(path, bytes(content), datetime.now(timezone.utc)))
        except (StageError, Refused) as problem:
            yield REJECTED, rejected_line("extract", path, None, str(problem)).decode().removesuffix("\n")
            yield TOLD, json.dumps([{UNREAD: 1}, {}, []])
            continue
        yield LINES, "".join(lines).removesuffix("\n")
        yield TOLD, json.dumps([{PAGES: 1, RECORDS: len(lines)}, {}, []])


def _refuse_pages(told: Told, many: BulkOptions) -> None:
    unread, pages = told.counts[UNREAD], told.counts[UNREAD] + told.counts[PAGES]
    if unread == pages:
        raise StageError(Exit.BAD_DATA, f"none of {pages} pages could be read; Rejected.jsonl tells why")
    many.refuse(unread, pages, "pages")


# --- what all jobs share ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def spark(master: str, journal: Journal) -> Iterator[SparkContext]:
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
    told = _first_line(error)
    if has_stopped or "stopped SparkContext" in str(error) or "masters are unresponsive" in str(error):
        return StageError(Exit.UNREACHABLE, f"Spark at {master} cannot be reached, or left us; is it running?")
    if "Input path does not exist" in told or "FileNotFoundException" in told:
        return StageError(Exit.NO_INPUT, f"{told}; run the stage that writes it, or name another")
    if "already exists" in told:
        return StageError(Exit.CANNOT_WRITE, f"{told}; remove it, or name another --output")
    return StageError(Exit.FAULT, f"the Spark job failed: {told}; its own log tells more")


def _first_line(error: Exception) -> str:
    java = getattr(error, "java_exception", None)
    return next(iter(str(java or error).splitlines()), type(error).__name__)[:300]


def _uri(path: str) -> str:
    """Return a path as Hadoop takes it: a local one would else be looked for on the cluster's own file system."""
    return path if "://" in path else Path(path).absolute().as_uri()


def _write(given: RDD[Given], target: str, stage: str, journal: Journal, check: Callable[[Told], None]) -> Told:
    """Write the lines into a folder of parts and what was set aside into Rejected.jsonl; return the counts.

    The tasks' output is kept on the workers' disks meanwhile, so that nothing is read and judged twice.
    """
    from pyspark import StorageLevel

    given.persist(StorageLevel.DISK_ONLY)
    told = Told()
    for counts, sums, unknown in map(json.loads, given.filter(_is(TOLD)).values().collect()):
        told.add(Cleaned(b"", b"", counts, sums, unknown))
    _write_rejected(given.filter(_is(REJECTED)).values().toLocalIterator(), target, stage)
    check(told)
    lines = given.filter(_is(LINES)).values()
    if is_remote(target):
        lines.saveAsTextFile(target)
    else:
        _write_parts(lines, Path(target))
    return told


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
        if target.is_dir():
            shutil.rmtree(target)
        part.rename(target)
