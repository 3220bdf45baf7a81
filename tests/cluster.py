"""A standalone cluster of Spark on this machine: a master and two workers, each with a folder of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil


def _spark_class(folder: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    import pyspark

    folder.mkdir(exist_ok=True)
    command = Path(pyspark.__file__).parent / "bin" / "spark-class"
    own = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_NO_DAEMONIZE": "1", "TMPDIR": str(folder)}
    environment = {**os.environ, **own, "PYSPARK_PYTHON": sys.executable}
    return subprocess.Popen(
        [str(command), f"org.apache.spark.deploy.{name}", *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd=folder, start_new_session=True,
    )  # fmt: skip


@contextlib.contextmanager
def started(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Yield the URL of the master, and the processes of the workers, whose folders are in `folder`."""
    port, *shown_at = (free_port() for _ in range(4))
    here = ("--host", "127.0.0.1")
    master = _spark_class(folder, "master.Master", *here, "--port", str(port), "--webui-port", str(shown_at[0]))
    url = f"spark://127.0.0.1:{port}"
    wait_for_port(port)
    workers = [
        _spark_class(folder / f"worker{n}", "worker.Worker", url, *here, "--cores", "1", "--memory", "1g",
                     "--webui-port", str(shown_at[n]), "--work-dir", str(folder / f"worker{n}" / "work"))
        for n in (1, 2)
    ]  # fmt: skip
    for worker in shown_at[1:]:
        wait_for_port(worker)
    try:
        yield url, workers
    finally:
        for process in (*workers, master):
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGKILL)
    process.wait()


def free_port() -> int:
    """Return a port of 127.0.0.1 at which nobody listens: tests run side by side."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Wait until somebody listens there."""
    for _ in range(300):
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nobody listens at {port}")


def executors_at_work(workers: list[subprocess.Popen[bytes]], job: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the Python processes of the executors when one has been at work for a moment."""
    while job.poll() is None:
        family = [one for worker in workers for one in psutil.Process(worker.pid).children(recursive=True)]
        found = [one for one in family if _is_at_work(one)]
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"the job ended before its workers were seen: {job.stderr.read() if job.stderr else ''}")


def _is_at_work(process: psutil.Process) -> bool:
    try:
        return "pyspark.daemon" in " ".join(process.cmdline()) and process.cpu_times().user > 0.3
    except psutil.Error:  # it ended meanwhile
        return False
