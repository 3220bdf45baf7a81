"""From raw records to clean ones, a file at a time: arrays, streams and Spark's folders all go through clean_lines.

A stream becomes a stream block by block, by several processes, in the order of its lines. Where an array is read or
written, all of it is in memory, and its records are sorted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from gdp.figures.lines import CleanedBlock, clean_lines
from gdp.figures.tally import Tally
from gdp.records import is_stream, joined, lines_of_array
from gdp.running.blocks import Block, blocks_of, packed
from gdp.running.command_line import BulkOptions
from gdp.running.journal import Journal
from gdp.running.pieces import RECORD, Growing, identity_of, put_rejected, rejected_lines, results_in_order
from gdp.running.screen import progress
from utils import Exit, StageError, write_whole

STAGE = "transform"
ORDER = {"As_of": False, "Institution": True, "Year": False, "GDP_USD_billion": False, "Country": True}  # ascending?
BATCH_CHARACTERS = 2_000_000  # lines judged at once on Spark: some six thousand


def refuse(tally: Tally, source: str, options: BulkOptions) -> None:
    """Raise StageError (65) when too much was set aside, or there is no figure at all."""
    first = f" (the first: {tally.first_rejects[0]})" if tally.first_rejects else ""
    options.refuse(tally.rejected, tally.total, f"records of {source}{first}")
    if not tally.written:
        raise StageError(Exit.BAD_DATA, f"{source} holds no figure of any country; run extract.py again")


# --- arrays -----------------------------------------------------------------------------------------------------------


def transform_sorted(source: Path, target: Path, options: BulkOptions, journal: Journal) -> tuple[Tally, str]:
    """Clean the raw records of `source` into `target`, highest first within As_of, institution and year.

    Returns what became of them, and the SHA-256 of what was written. Raises StageError, and leaves `target`
    as it was: 66 when `source` is missing, 65 when it is neither an array nor lines or when too much was set aside, 74
    when something cannot be written.
    """
    blocks, tally = list(_cleaned_blocks(source, journal)), Tally()
    for block in blocks:
        tally.add(block.tally)
    put_rejected(target, STAGE, [rejected_lines(STAGE, block.rejects) for block in blocks if block.rejects])
    refuse(tally, str(source), options)
    lines = _in_order([line for block in blocks for line in block.lines.splitlines()])
    content = packed(joined(lines, as_lines=is_stream(target)), target)
    write_whole(target, content)
    return tally, hashlib.sha256(content).hexdigest()


def _cleaned_blocks(source: Path, journal: Journal) -> Iterator[CleanedBlock]:
    if is_stream(source):
        yield from (clean_lines(block.read(), str(source), block.offset) for block in blocks_of(source))
        return
    lines, sha256 = lines_of_array(source)
    journal.note_input(source, len(lines), sha256)
    yield clean_lines(b"\n".join(lines), str(source), range(1, len(lines) + 1), RECORD)


def _in_order(lines: list[bytes]) -> list[bytes]:
    """Return clean lines in the order that a .json has."""
    import orjson
    import pandas as pd

    table = pd.DataFrame.from_records([orjson.loads(line) for line in lines], columns=[*ORDER])
    order = table.sort_values([*ORDER], ascending=[*ORDER.values()], kind="stable").index
    return [lines[place] for place in order]


# --- streams ----------------------------------------------------------------------------------------------------------


def transform_stream(sources: list[Path], target: Path, options: BulkOptions, journal: Journal) -> Tally:
    """Clean the raw lines of streams into `target`; what is no clean record goes to Rejected.jsonl, with its place.

    Returns what became of them. Raises StageError, and leaves `target` as it was: 66 for a missing source, 65 when too
    much was set aside, 74 when something cannot be written. Interrupted, it goes on where it stopped.
    """
    for source in sources:
        if not source.is_file():
            raise StageError(Exit.NO_INPUT, f"{source} is not there; run extract.py, or name another with --input")
    named = ", ".join(map(str, sources))
    growing = Growing(target, STAGE, {"input": identity_of(sources)})
    if done := growing.was_done():
        growing.drop()
        tally = Tally(done["tally"])
        refuse(tally, named, options)
        journal.say("done before, from the same lines:")
        return tally
    state = _clean_all(growing, sources, target, options.workers, journal)
    growing.save(state)
    growing.put_rejected()
    refuse(Tally(state["tally"]), named, options)
    growing.put(state)
    return Tally(state["tally"])


def _clean_all(growing: Growing, sources: list[Path], target: Path, workers: int, journal: Journal) -> dict[str, Any]:
    """Clean every block that was not done before; return how many blocks and bytes were done, and the tally."""
    state = growing.state or {"blocks": 0, "bytes": 0, "tally": None}
    if growing.state:
        journal.say(f"going on: {state['blocks']} blocks were done before")
    tally = Tally(state["tally"])

    def now() -> dict[str, Any]:
        return {**state, "tally": tally.as_json()}

    blocks = islice((block for source in sources for block in blocks_of(source)), state["blocks"], None)
    size = sum(source.stat().st_size for source in sources)
    with progress(size, "bytes read", journal, state["bytes"]) as advance:
        for block, cleaned in results_in_order(partial(clean_block, target=target), blocks, workers, journal):
            tally.add(cleaned.tally)
            state |= {"blocks": state["blocks"] + 1, "bytes": state["bytes"] + block.length}
            growing.add(cleaned.lines, rejected_lines(STAGE, cleaned.rejects), now)
            advance(block.length)
    return now()


def clean_block(block: Block, target: Path) -> CleanedBlock:
    """Return what becomes of a block, its lines as they go into `target`."""
    cleaned = clean_lines(block.read(), str(block.path), block.offset)
    return cleaned._replace(lines=packed(cleaned.lines, target))


# --- on Spark ---------------------------------------------------------------------------------------------------------


def transform_on_spark(sources: list[str], target: str, master: str, options: BulkOptions, journal: Journal) -> Tally:
    """Clean the raw lines of files or folders into a folder of parts; return what became of them.

    Raises StageError, and then leaves no parts: 65 when too much was set aside, and whatever spark.started raises.
    """
    from gdp.running import spark

    def added_up(of_tasks: list[dict[str, Any]]) -> Tally:
        tally = Tally()
        for saved in of_tasks:
            tally.add(Tally(saved))
        refuse(tally, ", ".join(sources), options)
        return tally

    spark.refuse_filled(target)
    with spark.started(master, journal) as context:
        parts = [spark.lines_of(context, source).mapPartitions(partial(clean_partition, source)) for source in sources]
        return spark.write(context.union(parts), target, STAGE, added_up)


def clean_partition(source: str, lines: Iterable[tuple[int, str]]) -> Iterator[tuple[str, str]]:
    """Yield what becomes of a task's lines, each given with its byte offset, as spark.write takes it."""
    from gdp.running.spark import given

    for batch in _batches(lines):
        text = "".join(f"{line}\n" for _, line in batch).encode()
        cleaned = clean_lines(text, source, [offset for offset, _ in batch])
        rejected = rejected_lines(STAGE, cleaned.rejects)
        yield from given(cleaned.lines, rejected, cleaned.tally.as_json())


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
