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

from gdp.options import BulkOptions
from gdp.records import is_stream, joined, lines_of_array
from gdp.remote_files import Stored, Where
from gdp.runtime.chunks import RAW_BLOCK_BYTES, Block, Range, is_packed, packed, portions_of, ranges_of, read_ahead
from gdp.runtime.pieces import (
    RECORD,
    Growing,
    Reject,
    identity_of,
    laid,
    lay,
    put_rejected,
    rejected_lines,
    results_in_order,
    with_trays,
)
from gdp.runtime.run_log import run_log
from gdp.runtime.terminal import progress
from gdp.scale.partitioned_output import Given, Parts, Run, parts_in
from gdp.transform.batch import CleanedBlock, clean_lines
from gdp.transform.totals import Tally
from utils import Exit, StageError, write_whole

STAGE = "transform"
ORDER = {"As_of": False, "Institution": True, "Year": False, "GDP_USD_billion": False, "Country": True}  # ascending?
TASK_BYTES = 8 * RAW_BLOCK_BYTES  # that make one part: a second's work, and few requests
FEWEST_TASKS = 16


def refuse(tally: Tally, source: str, options: BulkOptions) -> None:
    """Raise StageError (65) when too much was set aside, or there is no figure at all."""
    first = f" (the first: {tally.first_rejects[0]})" if tally.first_rejects else ""
    options.refuse(tally.rejected, tally.total, f"records of {source}{first}")
    if not tally.written:
        raise StageError(Exit.BAD_DATA, f"{source} holds no figure of any country; run extract.py again")


# --- arrays -----------------------------------------------------------------------------------------------------------


def transform_sorted(source: Where, target: Where, options: BulkOptions) -> tuple[Tally, str]:
    """Clean the raw records of `source` into `target`, highest first within As_of, institution and year.

    Returns what became of them, and the SHA-256 of what was written. Raises StageError, and leaves `target`
    as it was: 66 when `source` is missing, 65 when it is neither an array nor lines or when too much was set aside, 74
    when something cannot be written.
    """
    blocks, tally = list(_cleaned_blocks(source)), Tally()
    for block in blocks:
        tally.add(block.tally)
    put_rejected(target, STAGE, [rejected_lines(STAGE, block.rejects) for block in blocks if block.rejects])
    refuse(tally, str(source), options)
    lines = _in_order([line for block in blocks for line in block.lines.splitlines()])
    content = packed(joined(lines, as_lines=is_stream(target)), target)
    write_whole(target, content)
    return tally, hashlib.sha256(content).hexdigest()


def _cleaned_blocks(source: Where) -> Iterator[CleanedBlock]:
    if is_stream(source):
        for offset, text in (block.lines() for block in portions_of(source)):
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


def files_of(sources: list[Where]) -> list[Where]:
    """Return the files of sources, of a folder those parts that count; raises StageError (66) for what is not there."""
    found: list[Where] = []
    for source in sources:
        if not is_stream(source) and source.is_dir():
            found += parts_in(source)
        elif isinstance(source, Stored):
            found.append(source._replace(known=source.stat()))
        elif source.is_file():
            found.append(source)
        else:
            raise StageError(Exit.NO_INPUT, f"{source} is not there; run extract.py, or name another with --input")
    return found


def transform_stream(sources: list[Where], target: Where, options: BulkOptions) -> Tally:
    """Clean the raw lines of streams into `target`; what is no clean record goes to Rejected.jsonl, with its place.

    Returns what became of them. Raises StageError, and leaves `target` as it was: 66 for a missing source, 65 when too
    much was set aside, 74 when something cannot be written. Interrupted, it goes on where it stopped.
    """
    files = files_of(sources)
    growing = Growing(target, STAGE, {"input": identity_of(files)})
    if done := growing.was_done():
        growing.drop()
        tally = Tally(done["tally"])
        refuse(tally, all_named(sources), options)
        run_log.info("done before, from the same lines:")
        return tally
    state = _clean_all(growing, files, target, options.workers)
    growing.save(state)
    growing.put_rejected()
    refuse(Tally(state["tally"]), all_named(sources), options)
    growing.put(state)
    return Tally(state["tally"])


def _clean_all(growing: Growing, sources: list[Where], target: Where, workers: int) -> dict[str, Any]:
    """Clean every block that was not done before; return how many blocks and bytes were done, and the tally."""
    state = growing.state or {"blocks": 0, "bytes": 0, "tally": None}
    if growing.state:
        run_log.info(f"going on: {state['blocks']} blocks were done before")
    tally = Tally(state["tally"])

    def now() -> dict[str, Any]:
        return {**state, "tally": tally.as_json()}

    blocks = islice((block for source in sources for block in portions_of(source)), state["blocks"], None)
    size = sum(source.stat().st_size for source in sources)
    with progress(size, "bytes read", state["bytes"]) as advance:
        work, tasks = partial(clean_block, target=target), with_trays(blocks, workers)
        for (block, tray), (lines, rejects, more) in results_in_order(work, tasks, workers):
            tally.add(more)
            state |= {"blocks": state["blocks"] + 1, "bytes": state["bytes"] + block.length}
            growing.add(laid(lines, tray), rejected_lines(STAGE, rejects), now)
            advance(block.length)
    return now()


def clean_block(task: tuple[Block | Range, int], target: Where) -> tuple[bytes | int, list[Reject], Tally]:
    """Return what becomes of a block: its lines as they go into `target`, by way of a tray, its rejects and tally."""
    block, tray = task
    offset, text = block.lines()
    cleaned = clean_lines(text, str(block.path), offset)
    return lay(packed(cleaned.lines, target), tray), cleaned.rejects, cleaned.tally


# --- parts ------------------------------------------------------------------------------------------------------------


def transform_parts(sources: list[Where], folder: Where, options: BulkOptions, run: Run) -> Tally:
    """Clean the raw lines of files, or of folders of parts, into a folder of parts; return what became of them.

    Raises StageError, and then no new parts count: 66 for a missing source, 65 when too much was set aside, and
    whatever `run` raises.
    """
    found = files_of(sources)
    parts = Parts(folder, STAGE, identity_of(found))
    notes = parts.make(tasks_of(found), clean_task, run)
    tally = Tally()
    for saved in (saved for note in notes for saved in note["counted"]):
        tally.add(Tally(saved))
    refuse(tally, all_named(sources), options)
    parts.put(notes)
    return tally


def tasks_of(files: list[Where]) -> list[Range]:
    """Return ranges of files, large enough to be worth a part, small enough that all have work; packed files whole."""
    sizes = [file.stat().st_size for file in files]
    task_bytes = max(RAW_BLOCK_BYTES // 4, min(TASK_BYTES, sum(sizes) // FEWEST_TASKS))
    return [
        one for file, size in zip(files, sizes, strict=True)
        for one in ranges_of(file, size or 1 if is_packed(file) else task_bytes)
    ]  # fmt: skip


def clean_task(task: Range) -> Iterator[Given]:
    """Yield what becomes of a range of a file, block by block."""
    for offset, text in read_ahead(task):
        cleaned = clean_lines(text, str(task.path), offset)
        yield Given(cleaned.lines, rejected_lines(STAGE, cleaned.rejects), cleaned.tally.as_json())
