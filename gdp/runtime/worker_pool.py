"""Worker processes that do chunks of work; the results are in order.

A chunk is a page, or some lines of a file; its result is a pure function of it, so that the output is the same to the
byte for any number of processes. The workers are forked, so that they share our modules and the reference table; each
has one pipe, so that no semaphores in /dev/shm are needed, which some systems lack.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, islice
from mmap import mmap
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, NamedTuple, TypeVar

from gdp.runtime.run_log import run_log
from gdp.runtime.script import SIGNALS
from utils import Exit, StageError

IN_FLIGHT = 2  # chunks a worker: one at work, one waiting
BUFFER_BYTES = 16 * 2**20  # five times a chunk of raw lines; memory that is not touched costs nothing
MAX_DEATHS = 3  # of workers over the same chunk; then it is the chunk that kills them
FREE_BYTES_KEPT = 32_000_000  # of memory: several times a chunk, so that the next chunk need not request it again
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # mallopt(3)

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Failure(NamedTuple):
    """An exception that a worker's work raised."""

    error: BaseException


class _Job:
    """A chunk in flight, its result once that is there, and how many workers have died over it."""

    def __init__(self, chunk: Any) -> None:
        self.chunk = chunk
        self.result: Any = None
        self.is_done, self.deaths = False, 0


class _Worker(NamedTuple):
    """A worker process, our end of its pipe, and the jobs that it has, the one at work first."""

    pid: int
    pipe: Connection
    jobs: deque[_Job]

    def send(self, job: _Job) -> None:
        with contextlib.suppress(OSError):  # it is dead, which `receive` finds out
            self.pipe.send(job.chunk)

    def end(self) -> None:
        self.pipe.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def results_in_order(
    work: Callable[[Item], Result], chunks: Iterable[Item], workers: int
) -> Iterator[tuple[Item, Result]]:
    """Yield each chunk with the result of `work`, in order, done by `workers` processes.

    When a worker is killed, its chunks are done again; raises StageError (1) when one chunk has killed MAX_DEATHS.
    """
    if workers == 1:
        yield from ((chunk, work(chunk)) for chunk in chunks)
        return
    todo, jobs, pool = iter(chunks), deque[_Job](), list[_Worker]()
    try:
        for _ in range(workers):
            _add_worker(pool, work, deque())
        while True:
            for chunk in islice(todo, workers * IN_FLIGHT - len(jobs)):
                jobs.append(_Job(chunk))
                worker = min(pool, key=lambda one: len(one.jobs))
                worker.jobs.append(jobs[-1])
                worker.send(jobs[-1])
            if not jobs:
                return
            while not jobs[0].is_done:
                _receive(pool, work)
            job = jobs.popleft()
            if isinstance(job.result, _Failure):
                raise job.result.error
            yield job.chunk, job.result
    finally:
        for worker in pool:
            worker.end()


def _add_worker(pool: list[_Worker], work: Callable[[Any], Any], jobs: deque[_Job]) -> None:
    """Fork a worker, and give it jobs; raises StageError (71) where the system allows no more processes."""
    ours, theirs = Pipe()
    # a signal waits: Python loses an exception that is raised while it forks, and a worker must not answer one at all
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        pid = os.fork()
    except OSError as error:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        remedy = "end other programs, raise `ulimit -u`, or use --workers 1"
        problem = f"cannot start a worker process: {error.strerror}; {remedy}, then run again"
        raise StageError(Exit.NO_RESOURCES, problem) from error
    if not pid:
        for pipe in (ours, *(other.pipe for other in pool)):
            pipe.close()
        for number in SIGNALS:  # the parent's to answer
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _be_worker(theirs, work)
    theirs.close()
    pool.append(_Worker(pid, ours, jobs))
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    for job in jobs:
        pool[-1].send(job)


def _receive(pool: list[_Worker], work: Callable[[Any], Any]) -> None:
    """Wait for results; a dead worker's jobs are given to a new one. Raises StageError (1) as results_in_order does."""
    for pipe in wait([worker.pipe for worker in pool]):
        worker = next(one for one in pool if one.pipe is pipe)
        try:
            result = worker.pipe.recv()
        except (EOFError, OSError):
            pool.remove(worker)
            worker.end()
            if worker.jobs:
                job = worker.jobs[0]
                job.deaths += 1
                if job.deaths >= MAX_DEATHS:
                    problem = f"{job.deaths} worker processes were killed over {job.chunk}"
                    raise StageError(
                        Exit.FAULT, f"{problem}; see whether memory runs out, or run with --workers 1"
                    ) from None
                run_log.warn(f"a worker process was killed; its work is done again, from {job.chunk} on")
            _add_worker(pool, work, worker.jobs)
        else:
            job = worker.jobs.popleft()
            job.result, job.is_done = result, True


def _be_worker(pipe: Connection, work: Callable[[Any], Any]) -> None:
    """Work until the pipe ends, which is when the parent does; one thread takes chunks, and another sends results."""
    _keep_memory()
    chunks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    results: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def repeat(step: Callable[[], None]) -> None:
        try:
            while True:
                step()
        except (EOFError, OSError):  # the parent is gone
            os._exit(Exit.TERMINATED)

    try:
        for step in (lambda: chunks.put(pipe.recv()), lambda: pipe.send_bytes(results.get())):
            threading.Thread(target=repeat, args=(step,), daemon=True).start()
        while True:
            results.put(_pickled_result(work, chunks.get()))
    finally:
        os._exit(Exit.FAULT)  # no code of the parent's may run here in any case


def _keep_memory() -> None:
    """Let this process keep memory when it is free: returning it and requesting it again takes time."""
    import ctypes

    with contextlib.suppress(AttributeError, OSError):  # another C library than glibc
        libc = ctypes.CDLL(None)
        for threshold in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            libc.mallopt(threshold, FREE_BYTES_KEPT)


def _pickled_result(work: Callable[[Any], Any], chunk: Any) -> bytes:
    try:
        result = work(chunk)
    except BaseException as error:
        result = _Failure(error)
    try:
        return pickle.dumps(result, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return pickle.dumps(_Failure(RuntimeError(f"a result cannot leave its process: {error!r}")))


class SharedBuffers:
    """Memory that the workers share with this process, for one result each until the next one is requested.

    A pipe copies a text several times, which takes a fifth of the time.
    """

    def __init__(self) -> None:
        self._buffers: list[mmap] = []  # the workers inherit it when they are forked

    def assigned(self, chunks: Iterable[Item], workers: int) -> Iterator[tuple[Item, int]]:
        """Return each chunk with the number of the buffer for its result; a single worker needs no buffer."""
        count = workers * IN_FLIGHT if workers > 1 else 0
        self._buffers[:] = [mmap(-1, BUFFER_BYTES) for _ in range(count)]
        return zip(chunks, cycle(range(max(1, count))), strict=False)

    def write(self, text: bytes, number: int) -> bytes | int:
        """Write a text into a buffer and return its length; return the text itself where it has no room."""
        if not self._buffers or len(text) > BUFFER_BYTES:
            return text
        self._buffers[number][: len(text)] = text
        return len(text)

    def read(self, text: bytes | int, number: int) -> bytes | memoryview:
        """Return the text that `write` returned or left in a buffer."""
        return text if isinstance(text, bytes) else memoryview(self._buffers[number])[:text]


shared_buffers = SharedBuffers()
