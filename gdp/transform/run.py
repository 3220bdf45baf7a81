"""From raw records to clean ones, a file at a time: arrays and streams, both by clean_lines.

A stream becomes a stream chunk by chunk, by several processes, in the order of its lines. An array is read whole, and
its records are sorted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from gdp.record_files import is_stream, joined, lines_of_array
from gdp.remote_files import Where
from gdp.runtime.chunks import Chunk, chunks_of, packed
from gdp.runtime.output import RECORD, Limits, ResumableOutput, fingerprint_of, put_rejected, rejected_lines
from gdp.runtime.run_log import run_log
from gdp.runtime.terminal import progress
from gdp.runtime.worker_pool import results_in_order, shared_buffers
from gdp.transform.batch import CleanChunk, Totals, clean_lines
from utils import Exit, StageError, write_whole

STAGE = "transform"
ORDER = {"As_of": False, "Institution": True, "Year": False, "GDP_USD_billion": False, "Country": True}  # ascending?


def refuse(totals: Totals, sources: Sequence[Where], limits: Limits) -> None:
    """Raise StageError (65) when too many records of the sources were rejected, or there is no figure at all."""
    source = ", ".join(map(str, sources))
    first = f" (the first: {totals.first_rejects[0]})" if totals.first_rejects else ""
    limits.check_rejected(totals.rejected, totals.total, f"records of {source}{first}")
    if not totals.written:
        raise StageError(Exit.BAD_DATA, f"{source} has no figure of any country; run extract.py again")


def transform_sorted(source: Where, target: Where, limits: Limits) -> tuple[Totals, str]:
    """Clean the raw records of `source` into `target`, highest first within As_of, institution and year.

    Returns the totals, and the SHA-256 of what was written. Raises StageError, and leaves `target` as it was: 66 when
    `source` is missing, 65 when it has no records or too many were rejected, 74 when something cannot be written.
    """
    chunks, totals = list(_clean_chunks(source)), Totals()
    for chunk in chunks:
        totals.add(chunk.totals)
    put_rejected(target, STAGE, [rejected_lines(STAGE, chunk.rejects) for chunk in chunks if chunk.rejects])
    refuse(totals, [source], limits)
    lines = _in_order([line for chunk in chunks for line in chunk.lines.splitlines()])
    content = packed(joined(lines, as_lines=is_stream(target)), target)
    write_whole(target, content)
    return totals, hashlib.sha256(content).hexdigest()


def _clean_chunks(source: Where) -> Iterator[CleanChunk]:
    if is_stream(source):
        for offset, text in (chunk.lines() for chunk in chunks_of(source)):
            yield clean_lines(text, str(source), offset)
        return
    lines, sha256 = lines_of_array(source)
    run_log.record_input(source, len(lines), sha256)
    yield clean_lines(b"\n".join(lines), str(source), range(1, len(lines) + 1), RECORD)


def _in_order(lines: list[bytes]) -> list[bytes]:
    """Return clean lines in the order of a .json."""
    import orjson
    import pandas as pd

    table = pd.DataFrame.from_records([orjson.loads(line) for line in lines], columns=[*ORDER])
    order = table.sort_values([*ORDER], ascending=[*ORDER.values()], kind="stable").index
    return [lines[place] for place in order]


def transform_stream(files: list[Where], target: Where, limits: Limits) -> Totals:
    """Clean the raw lines of streams into `target`; what is no clean record goes to Rejected.jsonl, with its place.

    Returns the totals. Raises StageError, and leaves `target` as it was: 66 for a missing source, 65 when too many
    records were rejected, 74 when something cannot be written. After an interruption, the next run continues.
    """
    output = ResumableOutput(target, STAGE, fingerprint_of(files))
    done = output.finished_state()
    state = done or _clean_all(output, files, target, limits.workers)
    if done:
        output.drop()
    else:
        output.save(state)
        output.put_rejected()
    totals = Totals(state["totals"])
    refuse(totals, files, limits)
    if done:
        run_log.info("done before, from the same lines:")
    else:
        output.put(state)
    return totals


def _clean_all(output: ResumableOutput, files: list[Where], target: Where, workers: int) -> dict[str, Any]:
    """Clean every chunk that was not done before; return the number of chunks and bytes, and the totals."""
    state = output.state or {"chunks": 0, "bytes": 0, "totals": None}
    if output.state:
        run_log.info(f"continuing: {state['chunks']} chunks were done before")
    totals = Totals(state["totals"])

    def now() -> dict[str, Any]:
        return {**state, "totals": totals.as_json()}

    chunks = islice((chunk for file in files for chunk in chunks_of(file)), state["chunks"], None)
    size = sum(file.stat().st_size for file in files)
    with progress(size, "bytes read", state["bytes"]) as advance:
        work, tasks = partial(clean_chunk, target=target), shared_buffers.assigned(chunks, workers)
        for (chunk, buffer), (lines, rejects, more) in results_in_order(work, tasks, workers):
            totals.add(more)
            state |= {"chunks": state["chunks"] + 1, "bytes": state["bytes"] + chunk.length}
            output.add(shared_buffers.read(lines, buffer), rejects, now)
            advance(chunk.length)
    return now()


def clean_chunk(task: tuple[Chunk, int], target: Where) -> tuple[bytes | int, bytes, Totals]:
    """Return what becomes of a chunk: its lines as `target` has them, in a shared buffer, rejects and totals."""
    chunk, buffer = task
    offset, text = chunk.lines()
    cleaned = clean_lines(text, str(chunk.path), offset)
    lines = shared_buffers.write(packed(cleaned.lines, target), buffer)
    return lines, rejected_lines(STAGE, cleaned.rejects), cleaned.totals
