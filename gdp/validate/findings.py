"""A finding: the result of a check, for the screen, for results/Checks.json, and as flags and notes on observations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from gdp.model import joined_flags, note_of_source, source_flags
from gdp.validate.observations import Key, Observations

MAX_LINES = 5  # of a finding's notes; checks put the most unusual first

Notes = dict[Key, str]


class Finding(NamedTuple):
    """One result of a check: the evidence, what was expected, and a note for each figure that it concerns."""

    check: str
    fatal: bool
    institution: str
    as_of: str
    seen: str
    expected: str
    notes: Notes = {}  # noqa: RUF012 - never changed
    stage: str = "load"
    flag: str | None = None  # of the figures that have a note

    def __str__(self) -> str:
        severity = "fatal: " if self.fatal else ""
        return f"{severity}{self.check}, {self.institution}: {self.seen}; expected {self.expected}"

    def in_lines(self) -> list[str]:
        """Return the finding for a screen: where figures have notes of their own, a line for each of the first."""
        if not self.notes or len(set(self.notes.values())) < min(2, len(self.notes)):
            return [str(self)]
        severity = "fatal: " if self.fatal else ""
        years = {year for _, year in self.notes}
        by_name = ((f"{country} {year}" if len(years) > 1 else country, n) for (country, year), n in self.notes.items())
        lines = [f"{name}: {note}" for name, note in islice(by_name, MAX_LINES)]
        for_year = f" {min(years)}" if len(years) == 1 else ""
        more = [f"and {len(self.notes) - MAX_LINES:,} more"] if len(self.notes) > MAX_LINES else []
        number = f"{len(self.notes):,} figure{'s' * (len(self.notes) > 1)}"
        return [f"{severity}{self.check}, {self.institution}{for_year}: {number}", *lines, *more]

    def as_json(self) -> dict[str, Any]:
        """Return the finding as results/Checks.json has it."""
        notes = [{"Country": country, "Year": year, "Note": note} for (country, year), note in self.notes.items()]
        countries = list(dict.fromkeys(country for country, _ in self.notes))
        severity = "fatal" if self.fatal else "warning"
        return {**self._asdict(), "severity": severity, "countries": countries, "notes": notes}

    def in_short(self) -> dict[str, Any]:
        """Return the finding without its notes, as Loads has it."""
        whole = self.as_json()
        return {name: whole[name] for name in ("check", "severity", "institution", "seen", "expected")}

    @classmethod
    def from_json(cls, finding: dict[str, Any]) -> Finding:
        """Return the finding that as_json returned; raises LookupError or TypeError for anything else."""
        notes = {(note["Country"], note["Year"]): note["Note"] for note in finding["notes"]}
        return cls(**{name: finding[name] for name in cls._fields if name != "notes"}, notes=notes)


def checks_file_of(findings: Iterable[Finding], clean_file: str, left_out: Mapping[str, int]) -> bytes:
    """Return results/Checks.json: the findings on a clean file, named by its fingerprint, and what was left out."""
    checks = {
        "clean_file": clean_file,
        "left_out": dict(left_out),
        "findings": [finding.as_json() for finding in findings],
    }
    return json.dumps(checks, ensure_ascii=False, indent=1).encode() + b"\n"


def marked(observations: Observations, findings: Sequence[Finding]) -> tuple[list[str | None], list[str | None]]:
    """Return the Flags and the Note of each observation: those of the source, and those that the findings add."""
    flags = observations.flags
    notes = observations.columns["Note"]
    found: dict[Key, list[tuple[str | None, str]]] = {}
    for finding in findings:
        if finding.institution != observations.institution:
            continue
        for key, note in finding.notes.items():
            found.setdefault(key, []).append((finding.flag, note))
        if finding.flag and not finding.notes:
            for key in observations.keys:
                found.setdefault(key, []).append((finding.flag, f"{finding.check}: {finding.seen}"))
    if not found:
        return flags, notes
    both = [_marked(key_flags, found[key]) if key in found else (key_flags, note)
            for key, key_flags, note in zip(observations.keys, flags, notes, strict=True)]  # fmt: skip
    return [one for one, _ in both], [note for _, note in both]


def _marked(flags: str | None, found: list[tuple[str | None, str]]) -> tuple[str | None, str | None]:
    from_source = source_flags(flags)
    codes = [*(from_source.split() if from_source else ()), *(flag for flag, _ in found if flag)]
    notes = [note_of_source(from_source), *(note for _, note in found)]
    return joined_flags(codes), "; ".join(note for note in notes if note) or None
