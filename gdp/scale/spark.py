"""Spark: starts it, sends it our code, and has the tasks of a job done. What a task does is the stages' own.

Our code travels to the workers as a zip; they need the packages of requirements.txt, and for places in a store those
that open it. A local path must be the same on every worker.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdp.runtime.run_log import run_log
from gdp.scale.partitioned_output import Make, Note, Run, Task
from utils import PROJECT, Exit, StageError, log_file, our_files, writing

if TYPE_CHECKING:
    from pyspark import SparkContext

CONNECT_TIMEOUT_S = 20  # as Spark itself, for one try
QUIET_LOG = (
    "rootLogger.level = error\nrootLogger.appenderRef.stderr.ref = console\nappender.console.type = Console\n"
    "appender.console.name = console\nappender.console.target = SYSTEM_ERR\n"
    "appender.console.layout.type = PatternLayout\nappender.console.layout.pattern = %m%n\n"
)


# --- a job ------------------------------------------------------------------------------------------------------------


def on_spark(master: str) -> Run:
    """Return what makes parts by tasks of Spark; it raises StageError as `started` does."""

    def run(make: Make, todo: Sequence[Task]) -> Iterator[Note | StageError]:
        with started(master) as context:
            made: list[Note | StageError] = context.parallelize(todo, len(todo)).map(make).collect()
        yield from made

    return run


# --- its start and its end --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def started(master: str) -> Iterator[SparkContext]:
    """Yield Spark, with our code on its way to the workers.

    Raises StageError: 2 without PySpark or Java, 69 where the master cannot be reached, 1 for a job that failed again
    and again.
    """
    warnings.filterwarnings("ignore", module="pyspark")  # about pandas, which we do not hand to it
    try:
        from py4j.protocol import Py4JError
        from pyspark import SparkConf, SparkContext
        from pyspark.errors import PySparkException
    except ImportError:
        raise _no_spark("PySpark is not installed") from None
    _check_kind(master)
    _check_reachable(master)
    with tempfile.TemporaryDirectory() as folder:
        _prepare(Path(folder), master)
        conf = SparkConf().setMaster(master).setAppName("gdp-etl").set("spark.ui.enabled", "false")
        conf.set("spark.ui.showConsoleProgress", str(sys.stderr.isatty() and not run_log.quiet).lower())
        try:
            with _own_log():
                context = SparkContext(conf=conf, pyFiles=[str(_our_code(Path(folder)))])
        except (PySparkException, Py4JError) as error:
            raise _start_problem(master, error) from error
        try:
            yield context
        except Py4JError as error:
            raise _job_problem(master, error, _has_stopped(context)) from error
        finally:
            context.stop()


@contextlib.contextmanager
def _own_log() -> Iterator[None]:
    """Let Java, which is started within, write to log/spark.log: it has lines of its own for every start."""
    path = log_file().with_name("spark.log")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("wb")
    ours = os.dup(2)
    with file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(ours, 2)
        os.close(ours)


def _check_kind(master: str) -> None:
    """Raise StageError (2) for a master that cannot do it: Spark itself would only say that it did not start."""
    if master.startswith("sc://"):
        problem = "is Spark Connect's, which takes queries and no code of ours; name the cluster's own"
    elif master == "yarn" and not {"HADOOP_CONF_DIR", "YARN_CONF_DIR"} & os.environ.keys():
        problem = "is found by Hadoop's own configuration; set HADOOP_CONF_DIR to its folder"
    else:
        return
    raise StageError(Exit.USAGE, f"--master {master} {problem}")


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
    return StageError(Exit.FAULT, f"the Spark job failed: {reason}; {log_file().with_name('spark.log')} tells more")


def _first_line(error: Exception) -> str:
    java = getattr(error, "java_exception", None)
    return next(iter(str(java or error).splitlines()), type(error).__name__)[:300]
