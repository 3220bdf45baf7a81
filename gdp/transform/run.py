"""From raw records to clean ones, a file at a time: arrays, streams and folders of parts all go through clean_lines.

A stream becomes a stream block by block, by several processes, in the order of its lines. Where an array is read or
written, all of it is in memory, and its records are sorted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from gdp.record_files import is_stream, joined, lines_of_array
from gdp.remote_files import Where
from gdp.runtime.chunks import Chunk, Range, packed, chunks_or_ranges_of
from gdp.runtime.rejects import RECORD, Limits, Reject, put_rejected, rejected_lines
from gdp.runtime.resumable import ResumableOutput, fingerprint_of
from gdp.runtime.run_log import run_log
from gdp.runtime.terminal import progress
from gdp.runtime.worker_pool import results_in_order, shared_buffers
from gdp.transform.batch import CleanedBlock, clean_lines
from gdp.transform.totals import Tally
from utils import Exit, StageError, write_whole

STAGE = "transform"
ORDER = {"As_of": False, "Institution": True, "Year": False, "GDP_USD_billion": False, "Country": True}  # ascending?


def refuse(tally: Tally, source: str, limits: Limits) -> None:
    """Raise StageError (65) when too much was set aside, or there is no figure at all."""
    first = f" (the first: {tally.first_rejects[0]})" if tally.first_rejects else ""
    limits.check_rejected(tally.rejected, tally.total, f"records of {source}{first}")
    if not tally.written:
        raise StageError(Exit.BAD_DATA, f"{source} holds no figure of any country; run extract.py again")


# --- arrays -----------------------------------------------------------------------------------------------------------


def transform_sorted(source: Where, target: Where, limits: Limits) -> tuple[Tally, str]:
    """Clean the raw records of `source` into `target`, highest first within As_of, institution and year.

    Returns what became of them, and the SHA-256 of what was written. Raises StageError, and leaves `target`
    as it was: 66 when `source` is missing, 65 when it is neither an array nor lines or when too much was set aside, 74
    when something cannot be written.
    """
    blocks, tally = list(_cleaned_blocks(source)), Tally()
    for block in blocks:
        tally.add(block.tally)
    put_rejected(target, STAGE, [rejected_lines(STAGE, block.rejects) for block in blocks if block.rejects])
    refuse(tally, str(source), limits)
    lines = _in_order([line for block in blocks for line in block.lines.splitlines()])
    content = packed(joined(lines, as_lines=is_stream(target)), target)
    write_whole(target, content)
    return tally, hashlib.sha256(content).hexdigest()


def _cleaned_blocks(source: Where) -> Iterator[CleanedBlock]:
    if is_stream(source):
        for offset, text in (block.lines() for block in chunks_or_ranges_of(source)):
            yield clean_lines(text, str(source), offset)
        return
    lines, sha256 = lines_of_array(source)
    run_log.record_input(source, len(lines), sha256)
    yield clean_lines(b"\n".join(lines), str(source), range(1, len(lines) + 1), RECORD)


def _in_order(lines: list[bytes]) -> list[bytes]:
    """Return clean lines in the order that a .json has."""
    import orjson
    import pandas as pd

    table = pd.DataFrame.from_records([orjson.loads(line) for line in lines], columns=[*ORDER])
    order = table.sort_values([*ORDER], ascending=[*ORDER.values()], kind="stable").index
    return [lines[place] for place in order]


# --- streams ----------------------------------------------------------------------------------------------------------


def all_named(sources: list[Where]) -> str:
    """Return the names of all sources in a row."""
    return ", ".join(map(str, sources))


def transform_stream(files: list[Where], target: Where, limits: Limits) -> Tally:
    """Clean the raw lines of streams into `target`; what is no clean record goes to Rejected.jsonl, with its place.

    Returns what became of them. Raises StageError, and leaves `target` as it was: 66 for a missing source, 65 when too
    much was set aside, 74 when something cannot be written. Interrupted, it goes on where it stopped.
    """
    output = ResumableOutput(target, STAGE, fingerprint_of(files))
    if done := output.finished_state():
        output.drop()
        tally = Tally(done["tally"])
        refuse(tally, all_named(files), limits)
        run_log.info("done before, from the same lines:")
        return tally
    state = _clean_all(output, files, target, limits.workers)
    output.save(state)
    output.put_rejected()
    refuse(Tally(state["tally"]), all_named(files), limits)
    output.put(state)
    return Tally(state["tally"])


def _clean_all(output: ResumableOutput, files: list[Where], target: Where, workers: int) -> dict[str, Any]:
    """Clean every block that was not done before; return how many blocks and bytes were done, and the tally."""
    state = output.state or {"blocks": 0, "bytes": 0, "tally": None}
    if output.state:
        run_log.info(f"going on: {state['blocks']} blocks were done before")
    tally = Tally(state["tally"])

    def now() -> dict[str, Any]:
        return {**state, "tally": tally.as_json()}

    blocks = islice((block for file in files for block in chunks_or_ranges_of(file)), state["blocks"], None)
    size = sum(file.stat().st_size for file in files)
    with progress(size, "bytes read", state["bytes"]) as advance:
        work, tasks = partial(clean_block, target=target), shared_buffers.assigned(blocks, workers)
        for (block, buffer), (lines, rejects, more) in results_in_order(work, tasks, workers):
            tally.add(more)
            state |= {"blocks": state["blocks"] + 1, "bytes": state["bytes"] + block.length}
            output.add(shared_buffers.read(lines, buffer), rejected_lines(STAGE, rejects), now)
            advance(block.length)
    return now()


def clean_block(task: tuple[Chunk | Range, int], target: Where) -> tuple[bytes | int, list[Reject], Tally]:
    """Return what becomes of a block: its lines as they go into `target`, in a shared buffer, its rejects and tally."""
    block, buffer = task
    offset, text = block.lines()
    cleaned = clean_lines(text, str(block.path), offset)
    return shared_buffers.write(packed(cleaned.lines, target), buffer), cleaned.rejects, cleaned.tally
