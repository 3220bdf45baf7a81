"""A pool of worker processes that does chunks of work and returns the results in order.

A chunk is a page, or a block of lines. Its result is a pure function of it, so the output is the same to the byte for
any number of processes. Memory is bounded by the chunks in flight.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import cycle, islice
from mmap import mmap
from multiprocessing import get_context
from typing import Generic, TypeVar

from gdp.runtime.machine import die_with_parent, keep_memory
from gdp.runtime.run_log import run_log
from utils import Exit, StageError

IN_FLIGHT = 2  # chunks a process: one at work, one waiting
BUFFER_BYTES = 16 * 2**20  # five times a chunk of raw lines; memory that is not touched costs nothing
MAX_DEATHS = 3  # of processes, without a finished chunk in between; then the chunk itself is what kills them
FREE_BYTES_KEPT = 32_000_000  # of memory: several times a chunk, so that the next chunk need not request it again

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


@dataclass
class _Job(Generic[Chunk, Result]):
    """A chunk in flight, and the future of its result."""

    chunk: Chunk
    future: Future[Result] | None = None

    def forget_unless_done(self) -> None:
        if self.future and not (self.future.done() and self.future.exception() is None):
            self.future = None


def results_in_order(
    work: Callable[[Chunk], Result], chunks: Iterable[Chunk], workers: int
) -> Iterator[tuple[Chunk, Result]]:
    """Yield each chunk with the result of `work`, in order, done by `workers` processes.

    When a process is killed, its chunks are done again; raises StageError (1) when one chunk kills MAX_DEATHS of them.
    """
    if workers == 1:
        yield from ((chunk, work(chunk)) for chunk in chunks)
        return
    todo, deaths, pool = iter(chunks), 0, _new_pool(workers)
    jobs: deque[_Job[Chunk, Result]] = deque()
    try:
        while True:
            jobs.extend(_Job(chunk) for chunk in islice(todo, workers * IN_FLIGHT - len(jobs)))
            if not jobs:
                return
            try:
                for job in jobs:
                    job.future = job.future or pool.submit(work, job.chunk)
                assert jobs[0].future
                result = jobs[0].future.result()
            except BrokenProcessPool:
                deaths += 1
                _report_death(jobs[0].chunk, deaths)
                for job in jobs:
                    job.forget_unless_done()
                pool = _new_pool(workers)
                continue
            deaths = 0
            yield jobs.popleft().chunk, result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _new_pool(workers: int) -> ProcessPoolExecutor:
    # forked, so that the workers share our modules and the reference table
    return ProcessPoolExecutor(workers, get_context("fork"), _become_worker, (os.getpid(),))


def _become_worker(parent: int) -> None:
    die_with_parent(parent, lambda: os._exit(Exit.TERMINATED))
    keep_memory(FREE_BYTES_KEPT)
    for number in (signal.SIGINT, signal.SIGHUP):  # the parent's to answer
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _report_death(chunk: object, deaths: int) -> None:
    if deaths >= MAX_DEATHS:
        remedy = "see whether memory runs out, or run with --workers 1"
        raise StageError(Exit.FAULT, f"{deaths} worker processes were killed over {chunk}; {remedy}") from None
    run_log.warn(f"a worker process was killed; its work is done again, from {chunk} on")


class SharedBuffers:
    """Memory that the workers share with this process, for their results.

    The pool's pipe copies a text five times, which takes a fifth of the time. A buffer is free again as soon as the
    next result is requested.
    """

    def __init__(self) -> None:
        self._buffers: list[mmap] = []  # the workers inherit it when they are forked

    def assigned(self, chunks: Iterable[Chunk], workers: int) -> Iterator[tuple[Chunk, int]]:
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
