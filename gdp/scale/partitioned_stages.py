"""Extract and transform with partitioned output: each partition is made by a worker process, or by a task of Spark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gdp.record_files import is_stream
from gdp.remote_files import RemotePath, Where, ahead
from gdp.runtime.chunks import RAW_CHUNK_BYTES, Range, is_packed, ranges_of, read_ahead
from gdp.runtime.output import Limits, fingerprint_of, rejected_lines
from gdp.scale.partitioned_output import ChunkOutput, PartitionedOutput, Run, parts_in
from gdp.sources.folder_of_pages import (
    NOTHING_YET,
    PageLines,
    add_page,
    opened_page,
    page_lines,
    refuse_pages,
    rejected_page,
    report_pages,
)
from gdp.transform.batch import Totals, clean_lines
from gdp.transform.run import refuse
from utils import Exit, StageError

EXTRACT, TRANSFORM = "extract", "transform"
PAGES_PER_PARTITION = 100  # some seconds of work
FEWEST_PARTITIONS = 16  # so that all workers have work where there is little input
PAGES_AHEAD = 4  # read from a store while one is at work
PARTITION_BYTES = 8 * RAW_CHUNK_BYTES  # a second's work, and few requests


# --- extract ----------------------------------------------------------------------------------------------------------


def extract_parts(paths: Sequence[Where], folder: Where, limits: Limits, run: Run) -> None:
    """Read pages into a folder of partitions; unreadable pages are rejected with their reason.

    Raises StageError (65) when too many were, and then no new partition counts; also what `run` raises.
    """
    per_partition = max(1, min(PAGES_PER_PARTITION, len(paths) // FEWEST_PARTITIONS))
    inputs = [paths[begin : begin + per_partition] for begin in range(0, len(paths), per_partition)]
    output = PartitionedOutput(folder, EXTRACT, fingerprint_of(paths))
    notes = output.make(inputs, read_pages, run)
    state: dict[str, Any] = dict(NOTHING_YET)
    for page in (page for note in notes for page in note["counted"]):
        add_page(state, PageLines(b"", *page))
    refuse_pages(state, limits, folder)
    output.put(notes)
    report_pages(state, folder)


def read_pages(paths: Sequence[Where]) -> Iterator[ChunkOutput]:
    """Yield the records of pages, each opened while those before it are read."""
    for path, opened in zip(paths, ahead(opened_page, paths, PAGES_AHEAD), strict=True):
        page = page_lines(path, opened)
        yield ChunkOutput(page.lines, rejected_page(path, page), page[1:])


# --- transform --------------------------------------------------------------------------------------------------------


def transform_parts(sources: list[Where], folder: Where, limits: Limits, run: Run) -> Totals:
    """Clean the raw lines of files, or of folders of partitions, into a folder of partitions; return the totals.

    Raises StageError, and then no new partition counts: 66 for a missing source, 65 when too many records were
    rejected; also what `run` raises.
    """
    found = files_of(sources)
    output = PartitionedOutput(folder, TRANSFORM, fingerprint_of(found))
    notes = output.make(ranges_for_partitions(found), clean_range, run)
    totals = Totals()
    for saved in (saved for note in notes for saved in note["counted"]):
        totals.add(Totals(saved))
    refuse(totals, sources, limits)
    output.put(notes)
    return totals


def files_of(sources: list[Where]) -> list[Where]:
    """Return the files of sources, and the partitions of folders; raises StageError (66) for a missing source."""
    found: list[Where] = []
    for source in sources:
        if not is_stream(source) and source.is_dir():
            found += parts_in(source)
        elif isinstance(source, RemotePath):
            found.append(source._replace(known=source.stat()))
        elif source.is_file():
            found.append(source)
        else:
            raise StageError(Exit.NO_INPUT, f"{source} is not there; run extract.py, or name another with --input")
    return found


def ranges_for_partitions(files: list[Where]) -> list[Range]:
    """Return ranges of files, one a partition: large enough to be worth it, small enough that all workers have work.

    A packed file is one range.
    """
    sizes = [file.stat().st_size for file in files]
    range_bytes = max(RAW_CHUNK_BYTES // 4, min(PARTITION_BYTES, sum(sizes) // FEWEST_PARTITIONS))
    return [
        one for file, size in zip(files, sizes, strict=True)
        for one in ranges_of(file, size or 1 if is_packed(file) else range_bytes)
    ]  # fmt: skip


def clean_range(task: Range) -> Iterator[ChunkOutput]:
    """Yield the clean records of a range of a file, chunk by chunk."""
    for offset, text in read_ahead(task):
        cleaned = clean_lines(text, str(task.path), offset)
        yield ChunkOutput(cleaned.lines, rejected_lines(TRANSFORM, cleaned.rejects), cleaned.totals.as_json())
