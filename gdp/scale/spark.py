"""Spark: it is started, gets our code, and does the tasks of a job; a task's work is the stages' own.

The workers get our code as a zip; they need the packages of requirements.txt, and for files in a store those that open
it. A local path must be the same on every worker.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import socket
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdp.runtime.run_log import run_log
from gdp.scale.partitioned_output import Make, Maker, Note, Task
from utils import PROJECT, Exit, StageError, log_file, our_files, writing

if TYPE_CHECKING:
    from pyspark import SparkContext

CONNECT_TIMEOUT_S = 20  # as Spark itself, for one try
INSTALL = "install Java 17, and pip install -r requirements/spark.txt; or run without --engine spark"
GAVE_UP = ("stopped SparkContext", "masters are unresponsive")  # in the words of Spark
QUIET_LOG = (
    "rootLogger.level = error\nrootLogger.appenderRef.stderr.ref = console\nappender.console.type = Console\n"
    "appender.console.name = console\nappender.console.target = SYSTEM_ERR\n"
    "appender.console.layout.type = PatternLayout\nappender.console.layout.pattern = %m%n\n"
)


def on_spark(master: str) -> Maker:
    """Return a function that makes partitions by tasks of Spark.

    It raises StageError: 65 where PySpark or Java does not start, 69 where the master cannot be reached, 1 for a job
    that failed again and again.
    """

    def make_all(make: Make, todo: Sequence[Task]) -> Iterator[Note | StageError]:
        with _spark(master) as context:
            made: list[Note | StageError] = context.parallelize(todo, len(todo)).map(make).collect()
        yield from made

    return make_all


def usage_problem(master: str) -> str | None:
    """Return why Spark cannot run here or with this master, or None; Spark itself would only fail to start."""
    if importlib.util.find_spec("pyspark") is None:
        return f"--engine spark: PySpark is not installed; {INSTALL}"
    java = Path(os.environ["JAVA_HOME"], "bin", "java") if os.environ.get("JAVA_HOME") else shutil.which("java")
    if java is None or not Path(java).exists():
        return f"--engine spark: Java was not found; {INSTALL}"
    if master.startswith("sc://"):
        return f"--master {master} is Spark Connect's, which runs queries but not our code; name the cluster's own"
    if master == "yarn" and not {"HADOOP_CONF_DIR", "YARN_CONF_DIR"} & os.environ.keys():
        return f"--master {master} needs Hadoop's configuration; set HADOOP_CONF_DIR to its folder"
    if master.startswith("spark://") and not _hosts_and_ports(master):
        return f"--master {master} is no spark://HOST:PORT; name another"
    return None


@contextlib.contextmanager
def _spark(master: str) -> Iterator[SparkContext]:
    """Yield Spark, with our code on its way to the workers."""
    warnings.filterwarnings("ignore", module="pyspark")  # about pandas, which it does not get from us
    try:
        from py4j.protocol import Py4JError
        from pyspark import SparkConf, SparkContext
        from pyspark.errors import PySparkException
    except ImportError as error:
        raise StageError(Exit.BAD_DATA, f"Spark cannot be used: {error}; {INSTALL}") from None
    _check_reachable(master)
    with tempfile.TemporaryDirectory() as folder:
        code = _prepare(Path(folder), master)
        conf = SparkConf().setMaster(master).setAppName("gdp-etl").set("spark.ui.enabled", "false")
        conf.set("spark.ui.showConsoleProgress", str(sys.stderr.isatty() and not run_log.quiet).lower())
        try:
            with _own_log():
                context = SparkContext(conf=conf, pyFiles=[str(code)])
        except (PySparkException, Py4JError) as error:
            if "JAVA_GATEWAY_EXITED" in str(error):
                raise StageError(Exit.BAD_DATA, f"Java did not start; {INSTALL}") from error
            raise _unreachable(master, f": {_first_line(error)}") from error
        try:
            yield context
        except Py4JError as error:
            if _has_stopped(context) or any(words in str(error) for words in GAVE_UP):
                raise _unreachable(master, " any more") from error
            problem = f"the Spark job failed: {_first_line(error)}"
            raise StageError(Exit.FAULT, f"{problem}; {log_file().with_name('spark.log')} has more") from error
        finally:
            context.stop()


@contextlib.contextmanager
def _own_log() -> Iterator[None]:
    """Let Java, which is started within, write its lines to log/spark.log."""
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


def _check_reachable(master: str) -> None:
    """Raise StageError (69) where nobody listens at a cluster's master; Spark itself tries for a whole minute."""
    addresses = _hosts_and_ports(master)
    for address in addresses:
        try:
            socket.create_connection(address, CONNECT_TIMEOUT_S).close()
            return
        except OSError as error:
            problem = error.strerror or str(error)
    if addresses:
        raise _unreachable(master, f": {problem}")


def _unreachable(master: str, problem: str) -> StageError:
    return StageError(Exit.UNREACHABLE, f"Spark at {master} cannot be reached{problem}; is it running?")


def _hosts_and_ports(master: str) -> list[tuple[str, int]]:
    """Return the addresses in spark://HOST:PORT,HOST:PORT; none for another master, or where one is no address."""
    found = [re.fullmatch(r"(.+):(\d{1,5})", name) for name in master.removeprefix("spark://").split(",")]
    if not master.startswith("spark://") or not all(found):
        return []
    return [(one[1].strip("[]"), int(one[2])) for one in found if one and int(one[2]) < 65_536]


def _prepare(folder: Path, master: str) -> Path:
    """Set what Spark reads from the environment; return a zip of our modules and the country table for its workers."""
    (folder / "log4j2.properties").write_text(QUIET_LOG, encoding="ascii")
    os.environ.setdefault("SPARK_CONF_DIR", str(folder))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if master.startswith("local") or "127.0.0.1" in master:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    path = folder / "gdp_etl.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in our_files():
            archive.write(file, file.relative_to(PROJECT))
    return path


def _has_stopped(context: SparkContext) -> bool:
    """Return whether Spark has given up by itself; a job's error is then only a consequence."""
    from py4j.protocol import Py4JError

    jvm: Any = context._jsc
    try:
        return bool(jvm.sc().isStopped())
    except Py4JError:  # it is gone altogether
        return True


def _first_line(error: Exception) -> str:
    java = getattr(error, "java_exception", None)
    return next(iter(str(java or error).splitlines()), type(error).__name__)[:300]
