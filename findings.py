"""What checks find: one kind of finding, told in words, in results/Checks.json, and as Notes on the rows concerned."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from records import CleanRecord

MAX_NAMED = 6  # a message names so many; results/Checks.json has them all
CHECKED = "check: "  # what follows in a Note was found by the checks; what precedes it was said by transform

Notes = dict[tuple[str, int], str]  # by country and year


class Finding(NamedTuple):
    """One thing that a check found: what was seen, what was expected, and a Note for each figure concerned."""

    check: str
    fatal: bool
    institution: str
    as_of: str
    seen: str
    expected: str
    notes: Notes = {}  # noqa: RUF012 - never changed
    stage: str = "load"

    def __str__(self) -> str:
        severity = "fatal: " if self.fatal else ""
        return f"{severity}{self.check}, {self.institution}: {self.seen}; expected {self.expected}"

    def as_json(self) -> dict[str, Any]:
        """Return the finding as results/Checks.json has it."""
        notes = [{"Country": country, "Year": year, "Note": note} for (country, year), note in self.notes.items()]
        countries = list(dict.fromkeys(country for country, _ in self.notes))
        severity = "fatal" if self.fatal else "warning"
        return {**self._asdict(), "severity": severity, "countries": countries, "notes": notes}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Finding:
        """Return the finding that as_json told of; raises LookupError or TypeError where it did not."""
        notes = {(note["Country"], note["Year"]): note["Note"] for note in told["notes"]}
        return cls(**{name: told[name] for name in cls._fields if name != "notes"}, notes=notes)


def as_checks(findings: Iterable[Finding], clean_sha256: str) -> bytes:
    """Return results/Checks.json: the findings on the clean file that has this SHA-256."""
    told = {"clean_sha256": clean_sha256, "findings": [finding.as_json() for finding in findings]}
    return json.dumps(told, ensure_ascii=False, indent=1).encode() + b"\n"


def with_notes(records: Iterable[CleanRecord], findings: Iterable[Finding]) -> list[CleanRecord]:
    """Return the records with the Notes of all findings; a fatal one that names no figure is noted on every row."""
    of_rows: dict[tuple[str, str, str, int], list[str]] = {}
    of_series: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        series = finding.as_of, finding.institution
        for key, note in finding.notes.items():
            of_rows.setdefault((*series, *key), []).append(note)
        if finding.fatal and not finding.notes:
            of_series.setdefault(series, []).append(f"{finding.check}: {finding.seen}")
    return [
        _with_notes(
            record,
            of_rows.get((record["As_of"], record["Institution"], record["Country"], record["Year"]), [])
            + of_series.get((record["As_of"], record["Institution"]), []),
        )
        for record in records
    ]


def _with_notes(record: CleanRecord, notes: list[str]) -> CleanRecord:
    if not notes:
        return record
    said = f"{record['Note']}; " if record["Note"] else ""
    return {**record, "Note": said + CHECKED + "; ".join(notes)}


def note_without_checks(note: str | None) -> str | None:
    """Return what transform said in a Note, without what the checks found."""
    return note and (note.partition(CHECKED)[0].removesuffix("; ") or None)


def named(names: Iterable[str]) -> str:
    """Return names in a row, the first MAX_NAMED of them."""
    every = list(names)
    return ", ".join(every[:MAX_NAMED]) + (f" and {len(every) - MAX_NAMED} more" if len(every) > MAX_NAMED else "")
