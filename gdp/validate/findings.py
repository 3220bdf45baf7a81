"""What checks find: one kind of finding, told in words, in results/Checks.json, and as Notes on the rows concerned."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from gdp.validate.observations import Key, Said

MAX_LINES = 5  # of a finding's Notes, the worst; checks put them first
CHECKED = "check: "  # what follows in a Note was found by the checks; what precedes it was said by transform

Notes = dict[Key, str]


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

    def in_lines(self) -> list[str]:
        """Return the finding for a screen: where each figure has a Note of its own, a line for each of the worst."""
        if not self.notes or len(set(self.notes.values())) < min(2, len(self.notes)):
            return [str(self)]
        severity = "fatal: " if self.fatal else ""
        years = {year for _, year in self.notes}
        by_name = ((f"{country} {year}" if len(years) > 1 else country, n) for (country, year), n in self.notes.items())
        lines = [f"{name}: {note}" for name, note in islice(by_name, MAX_LINES)]
        of_year = f" {min(years)}" if len(years) == 1 else ""
        more = [f"and {len(self.notes) - MAX_LINES:,} more"] if len(self.notes) > MAX_LINES else []
        number = f"{len(self.notes):,} figure{'s' * (len(self.notes) > 1)}"
        return [f"{severity}{self.check}, {self.institution}{of_year}: {number}", *lines, *more]

    def as_json(self) -> dict[str, Any]:
        """Return the finding as results/Checks.json has it."""
        notes = [{"Country": country, "Year": year, "Note": note} for (country, year), note in self.notes.items()]
        countries = list(dict.fromkeys(country for country, _ in self.notes))
        severity = "fatal" if self.fatal else "warning"
        return {**self._asdict(), "severity": severity, "countries": countries, "notes": notes}

    def in_short(self) -> dict[str, Any]:
        """Return the finding without its Notes, which stand on the rows."""
        whole = self.as_json()
        return {name: whole[name] for name in ("check", "severity", "institution", "seen", "expected")}

    @classmethod
    def from_json(cls, finding: dict[str, Any]) -> Finding:
        """Return the finding that as_json told of; raises LookupError or TypeError where it did not."""
        notes = {(note["Country"], note["Year"]): note["Note"] for note in finding["notes"]}
        return cls(**{name: finding[name] for name in cls._fields if name != "notes"}, notes=notes)


def as_checks(findings: Iterable[Finding], clean_file: str, left_out: Mapping[str, int]) -> bytes:
    """Return results/Checks.json: the findings on the file that which_file told, and what was left out how often."""
    checks = {
        "clean_file": clean_file,
        "left_out": dict(left_out),
        "findings": [finding.as_json() for finding in findings],
    }
    return json.dumps(checks, ensure_ascii=False, indent=1).encode() + b"\n"


class NotesOfChecks:
    """What the checks found, by figure: a fatal finding that names none concerns every one of its institution's."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._of_figure: dict[str, dict[Key, list[str]]] = {}  # by institution
        self._of_institution: dict[str, list[str]] = {}
        for finding in findings:
            for key, note in finding.notes.items():
                self._of_figure.setdefault(finding.institution, {}).setdefault(key, []).append(note)
            if finding.fatal and not finding.notes:
                note = f"{finding.check}: {finding.seen}"
                self._of_institution.setdefault(finding.institution, []).append(note)

    def added_to(self, said: Said) -> list[str | None]:
        """Return the Notes of an institution's figures with what the checks found about them."""
        of_figure, of_all = self._of_figure.get(said.institution, {}), self._of_institution.get(said.institution, [])
        if not of_figure and not of_all:
            return said.notes
        found = {key: of_figure.get(key, []) + of_all for key in (said.keys if of_all else of_figure)}
        noted = zip(said.keys, said.notes, strict=True)
        return [_with(note, found[key]) if key in found else note for key, note in noted]


def _with(note: str | None, found: list[str]) -> str:
    return (f"{note}; " if note else "") + CHECKED + "; ".join(found)


def is_doubted(note: str | None) -> bool:
    """Tell whether the checks found something about a figure, so that it is no measure for others."""
    return note is not None and CHECKED in note


@lru_cache(maxsize=16_384)  # an archive says the same of the same figures again and again
def note_without_checks(note: str | None) -> str | None:
    """Return what transform said in a Note, without what the checks found."""
    return (note.partition(CHECKED)[0].removesuffix("; ") or None) if note else None
