"""What checks find: one kind of finding, told in words, in results/Checks.json, and as Notes on the rows concerned."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from records import CleanRecord

MAX_NAMED = 6  # a message names so many; results/Checks.json has them all


class Finding(NamedTuple):
    """One thing that a check found: what was seen, what was expected, and a Note for each country concerned."""

    check: str
    fatal: bool
    institution: str
    as_of: str
    seen: str
    expected: str
    notes: dict[str, str] = {}  # noqa: RUF012 - never changed
    stage: str = "load"

    def __str__(self) -> str:
        severity = "fatal: " if self.fatal else ""
        return f"{severity}{self.check}, {self.institution}: {self.seen}; expected {self.expected}"

    def as_json(self) -> dict[str, Any]:
        """Return the finding as results/Checks.json has it."""
        return {**self._asdict(), "severity": "fatal" if self.fatal else "warning", "countries": list(self.notes)}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Finding:
        """Return the finding that as_json told of; raises LookupError or TypeError where it did not."""
        return cls(**{name: told[name] for name in cls._fields})


def as_checks(findings: Iterable[Finding], clean_sha256: str) -> bytes:
    """Return results/Checks.json: the findings on the clean file that has this SHA-256."""
    told = {"clean_sha256": clean_sha256, "findings": [finding.as_json() for finding in findings]}
    return json.dumps(told, ensure_ascii=False, indent=1).encode() + b"\n"


def with_notes(records: Iterable[CleanRecord], findings: Iterable[Finding]) -> list[CleanRecord]:
    """Return the records with the Notes of all findings; a fatal one that names no country is noted on every row."""
    by_row: dict[tuple[str, str, str], list[str]] = {}
    for finding in findings:
        for country in finding.notes or ([""] if finding.fatal else []):
            note = finding.notes.get(country, f"{finding.check}: {finding.seen}")
            by_row.setdefault((finding.as_of, finding.institution, country), []).append(note)
    return [_with_notes(record, by_row) for record in records]


def _with_notes(record: CleanRecord, by_row: dict[tuple[str, str, str], list[str]]) -> CleanRecord:
    series = record["As_of"], record["Institution"]
    new = by_row.get((*series, record["Country"]), []) + by_row.get((*series, ""), [])
    if not new:
        return record
    return {**record, "Note": "; ".join(([record["Note"]] if record["Note"] else []) + new)}


def named(names: Iterable[str]) -> str:
    """Return names in a row, the first MAX_NAMED of them."""
    every = list(names)
    return ", ".join(every[:MAX_NAMED]) + (f" and {len(every) - MAX_NAMED} more" if len(every) > MAX_NAMED else "")
