"""A finding: the result of a check, for the screen, for results/Checks.json, and as flags and notes on observations."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gdp.model import FATAL, joined_flags, note_of_source, source_flags
from gdp.validate.observations import Key, Observations
from gdp.validate.thresholds import IN_DOUBT, MOST_SHOWN


class Finding(NamedTuple):
    """One result of a check: the evidence, what was expected, and a note for each figure that it flags.

    `ranks` says how unusual each of these figures is: the distance from the expected figure, as a logarithm.
    """

    check: str
    fatal: bool
    institution: str
    as_of: str
    seen: str
    expected: str
    notes: Mapping[Key, str] = {}
    stage: str = "load"
    flag: str | None = None  # of the figures that have a note
    ranks: Mapping[Key, float] = {}

    def __str__(self) -> str:
        return f"{self._head}: {self.seen}; expected {self.expected}"

    @property
    def _head(self) -> str:
        return f"{'fatal: ' if self.fatal else ''}{self.check}, {self.institution}"

    @property
    def severity(self) -> str:
        """Its severity, in a word."""
        return "fatal" if self.fatal else "warning"

    @property
    def keys(self) -> list[Key]:
        """The figures that it flags, the most unusual first."""
        return sorted(self.notes, key=lambda key: (-self.ranks.get(key, 0.0), key))

    def in_lines(self, shown: Sequence[Key] | None = None) -> list[str]:
        """Return the finding for a screen, with a line for each of the figures that are shown; the first by default."""
        if not self.notes:
            return [str(self)]
        some = self.keys[:MOST_SHOWN] if shown is None else shown
        lines = [f"{country} {year}: {self.notes[country, year]}" for country, year in some]
        if len(self.notes) > len(some):
            lines.append(f"and {len(self.notes) - len(some):,} more")
        return [f"{self._head}: {len(self.notes):,} figure{'s' * (len(self.notes) > 1)}", *lines]

    def as_json(self) -> dict[str, Any]:
        """Return the finding as results/Checks.json has it."""
        notes = [
            {"Country": key[0], "Year": key[1], "Note": self.notes[key], "rank": self.ranks.get(key, 0.0)}
            for key in self.keys
        ]
        countries = list(dict.fromkeys(country for country, _ in self.keys))
        whole = {**self._asdict(), "severity": self.severity, "countries": countries, "notes": notes}
        del whole["ranks"]
        return whole

    def in_short(self) -> dict[str, Any]:
        """Return the finding as Loads has it: without its notes, with its figures from the most unusual on."""
        return {
            "check": self.check, "severity": self.severity, "institution": self.institution, "seen": self.seen,
            "expected": self.expected, "figures": [[*key, round(self.ranks.get(key, 0.0), 4)] for key in self.keys],
        }  # fmt: skip

    @classmethod
    def from_json(cls, finding: dict[str, Any]) -> Finding:
        """Return the finding that as_json returned; raises LookupError or TypeError for anything else."""
        by_key = {(note["Country"], note["Year"]): note for note in finding["notes"]}
        notes, ranks = ({key: note[name] for key, note in by_key.items()} for name in ("Note", "rank"))
        given = {name: finding[name] for name in cls._fields if name not in ("notes", "ranks")}
        return cls(**given, notes=notes, ranks=ranks)


class FigureFlags(NamedTuple):
    """The figures that a finding flags: the flag, a note for each, and how unusual each is."""

    flag: str | None = None
    notes: Mapping[Key, str] = {}
    ranks: Mapping[Key, float] = {}


NO_FLAGS = FigureFlags()


def finding_on(
    observations: Observations, check: str, seen: str, expected: str, flagged: FigureFlags = NO_FLAGS
) -> Finding:
    """Return a finding on an institution's observations that is a warning."""
    head = check, False, observations.institution, observations.as_of, seen, expected
    return Finding(*head, flagged.notes, flag=flagged.flag, ranks=flagged.ranks)


def fatal_on(observations: Observations, check: str, seen: str, expected: str) -> Finding:
    """Return a fatal finding on an institution's observations; it flags all of them if the load is forced."""
    return Finding(check, True, observations.institution, observations.as_of, seen, expected, flag=FATAL)


def doubt_of(findings: Iterable[Finding]) -> str | None:
    """Return why a vintage is no baseline for others, or None: a fatal finding, or one on a list as a whole."""
    found = list(findings)
    fatal = (str(finding) for finding in found if finding.fatal)
    in_doubt = (finding.check for finding in found if finding.check in IN_DOUBT)
    return next(fatal, None) or next(in_doubt, None)


def checks_file_of(
    findings: Iterable[Finding],
    clean_file: str,
    left_out: Mapping[str, int],
    control_totals: Sequence[dict[str, Any]] = (),
) -> bytes:
    """Return results/Checks.json: the findings on a clean file, by its fingerprint, and what transform recorded."""
    found = [finding.as_json() for finding in findings]
    checks = {"clean_file": clean_file, "left_out": dict(left_out), "findings": found, "control_totals": control_totals}
    return json.dumps(checks, ensure_ascii=False, indent=1).encode() + b"\n"


def shown(findings: Sequence[Finding]) -> list[list[str]]:
    """Return the lines of each finding for a screen, with the most unusual figures of all of them together."""
    every = [
        (-finding.ranks.get(key, 0.0), number, key) for number, finding in enumerate(findings) for key in finding.notes
    ]
    first = {(number, key) for _, number, key in sorted(every)[:MOST_SHOWN]}
    return [
        finding.in_lines([key for key in finding.keys if (number, key) in first])
        for number, finding in enumerate(findings)
    ]


Reported = tuple[str, str, str]  # check, institution and what was seen


def new_among(
    findings: Iterable[Finding], began: Mapping[str, Container[Key]], reported: Collection[Reported] = ()
) -> list[Finding]:
    """Return the findings that the last vintage had not already.

    `began` has by institution the figures that are new in the vintage, and `reported` the last one's findings.
    """
    new = []
    for finding in findings:
        keys = began.get(finding.institution, ())
        notes = {key: note for key, note in finding.notes.items() if key in keys}
        is_reported = (finding.check, finding.institution, finding.seen) in reported
        if finding.fatal or notes or not (finding.notes or is_reported):
            new.append(finding._replace(notes=notes))
    return new


def marked(observations: Observations, findings: Sequence[Finding]) -> tuple[list[str | None], list[str | None]]:
    """Return the Flags and the Note of each observation: those of the source, and those that the findings add."""
    found: dict[Key, list[tuple[str | None, str]]] = defaultdict(list)
    for finding in findings:
        if finding.institution == observations.institution:
            whole = f"{finding.check}: {finding.seen}"  # without notes, a flag is of all figures
            for key in finding.notes or (observations.keys if finding.flag else ()):
                found[key].append((finding.flag, finding.notes.get(key, whole)))
    flags, notes = list(observations.flags), list(observations.columns["Note"])
    for place, key in enumerate(observations.keys if found else ()):
        if key in found:
            from_source = source_flags(flags[place]) or ""
            flags[place] = joined_flags([*from_source.split(), *(flag for flag, _ in found[key] if flag)])
            texts = [note_of_source(from_source), *(note for _, note in found[key])]
            notes[place] = "; ".join(text for text in texts if text) or None
    return flags, notes
