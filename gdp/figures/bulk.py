"""Transform from one stream to another: block by block, by several processes, in the order of the lines.

The engines differ in who calls streams.clean_lines; what is told of the outcome is the same for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from gdp.checks.findings import Finding, as_checks
from gdp.checks.vintage import check_control_total
from gdp.figures.cleaning import Fate, left_out
from gdp.figures.countries import reference
from gdp.figures.streams import Cleaned, Told, clean_lines
from gdp.running.command_line import BulkOptions
from gdp.running.journal import Journal
from gdp.running.pieces import Block, Growing, blocks_of, identity_of, packed, results_in_order
from gdp.running.screen import progress
from utils import Exit, StageError, checks_file, stamp_of, write_whole

MAX_NAMED = 10  # unknown names, and columns apart from World


def transform_stream(sources: list[Path], target: Path, many: BulkOptions, journal: Journal) -> None:
    """Clean the raw lines of streams into `target`; what is no clean record goes to Rejected.jsonl, with its place.

    Raises StageError (65) when that is too much, and leaves `target` as it was. Interrupted, it goes on where it
    stopped.
    """
    for source in sources:
        if not source.is_file():
            raise StageError(Exit.NO_INPUT, f"{source} is not there; run extract.py, or name another with --input")
    named = ", ".join(map(str, sources))
    growing = Growing(target, "transform", {"input": identity_of(sources)})
    if before := growing.was_done():
        growing.drop()
        refuse(Told(before["told"]), named, many)
        journal.say("done before, from the same lines:")
        tell(Told(before["told"]), named, target, journal)
        return
    done, at = (growing.state["blocks"], growing.state["bytes"]) if growing.state else (0, 0)
    told = Told(growing.state["told"] if growing.state else None)
    if done:
        journal.say(f"going on: {done} blocks were done before")
    blocks = islice((block for source in sources for block in blocks_of(source)), done, None)
    size = sum(source.stat().st_size for source in sources)
    with progress(size, "bytes read", journal, at) as advance:
        for block, cleaned in results_in_order(partial(clean_block, target=target), blocks, many.workers, journal):
            told.add(cleaned)
            done, at = done + 1, at + block.length
            growing.add(cleaned.lines, cleaned.rejects, lambda: {"blocks": done, "bytes": at, "told": told.as_json()})  # noqa: B023
            advance(block.length)
    state = {"blocks": done, "bytes": at, "told": told.as_json()}
    growing.save(state)
    growing.put_rejected()
    refuse(told, named, many)
    growing.put(state)
    tell(told, named, target, journal)


def clean_block(block: Block, target: Path) -> Cleaned:
    """Return what becomes of a block, its lines as they go into `target`."""
    cleaned = clean_lines(block.read(), str(block.path), block.offset)
    return cleaned._replace(lines=packed(cleaned.lines, target))


def refuse(told: Told, source: str, many: BulkOptions) -> None:
    """Raise StageError (65) when too much was set aside, or there is no figure at all."""
    many.refuse(told.rejected, told.total, f"lines of {source}")
    if not told.counts[Fate.CLEAN.value]:
        raise StageError(Exit.BAD_DATA, f"{source} holds no figure of any country; run extract.py again")


def tell(told: Told, source: str, target: Path | str, journal: Journal) -> None:
    """Tell what became of every line, which names are unknown, and where a column departs from its World row.

    A target that is a text is one that only Hadoop can open; load cannot be told of the findings on it.
    """
    written = told.counts[Fate.CLEAN.value]
    journal.note_output(target, written)
    as_of = max(name.split(" ")[0] for name in told.sums)
    journal.facts |= {"input": str(source), "rows_in": told.total, "rejected": told.rejected, "as_of": as_of}
    parts = ", ".join(f"{count:,} {fate}" for fate, count in told.counts.items() if count)
    journal.say(f"{told.total:,} raw records: {parts}")
    for name in list(told.unknown)[:MAX_NAMED]:
        near = reference().nearest(name)
        hint = f"; nearest known: {', '.join(near)}" if near else ""
        journal.warn(f"unknown country {name!r} kept without ISO code and region{hint}")
    findings = list(apart_from_world(told))
    for finding in findings[:MAX_NAMED]:
        journal.log(f"{finding.as_of}: {finding}")
    if isinstance(target, Path):
        checks = as_checks(findings, stamp_of(target), left_out(told.counts))
        journal.attempt(lambda: write_whole(target.with_name(checks_file().name), checks))
    journal.say(f"{written:,} clean records written to {target}; {told.rejected:,} set aside")


def apart_from_world(told: Told) -> Iterator[Finding]:
    """Yield a finding for each column whose countries do not add up to its World row."""
    for name, (own, world) in told.sums.items():
        as_of, _, institution = name.split(" ", 2)
        if world:
            yield from check_control_total(institution, as_of, own / 100, world / 100)
