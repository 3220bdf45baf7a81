"""Two vintages that cannot both be right, and which of several is the odd one.

Evidence is across many countries, never one: most figures another year's or another institution's, another unit, or a
list that lost many countries. A vintage is refused when two others agree with each other and not with it, and fewer
agree with it. Where only one other is there, nobody knows which of the two is wrong: the new one loads, noted.
Held against all pairs of neighbours among the ten real pages of 2018 to 2026: no contradiction.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from gdp.model import CONTRADICTS_VINTAGE
from gdp.validate.findings import Finding
from gdp.validate.observations import Baseline, Key, Statement
from gdp.validate.series import MIN_PAIRS, MOST_MOVED, Statements, log_ratios, median
from utils import first_few

IDENTICAL_SHARE = 0.5  # of figures that equal another year's or institution's; seen: 6 of 201
MAX_GONE_SHARE = 0.08  # of the IMF's countries; seen: at most 4 of 195. A page's World Bank column went from 209 to 186
UNSETTLED = "contradicts another vintage"  # and nothing tells yet which of the two is wrong
LOOK_BACK, LOOK_AHEAD = 2, 2  # vintages to each side: two that agree outvote one


class Contradiction(NamedTuple):
    """Why two vintages cannot both be right: which check says so, of which institution, and what it saw."""

    check: str
    institution: str
    seen: str
    expected: str


class Surroundings(NamedTuple):
    """What a vintage is compared with: the publisher's vintages around it, baselines, releases, confirmed figures."""

    earlier: Sequence[Statements] = ()  # nearest first, at most LOOK_BACK; none with a fatal finding
    later: Sequence[Statements] = ()  # nearest first, at most LOOK_AHEAD, not checked yet
    is_unsettled: bool = False  # the nearest earlier one contradicts the one before it
    baselines: Mapping[str, Baseline] = {}
    releases: Sequence[
        Statement
    ] = ()  # the IMF's own in the database from before the vintage, newest first, at most two
    confirmed: Container[tuple[str, Key]] = frozenset()  # institution and key of figures that a person confirmed


class Verdict(NamedTuple):
    """The findings on a vintage among its neighbours, and the statements that its figures are compared with."""

    findings: list[Finding]
    last: Statements


def weigh(now: Statements, around: Surroundings) -> Verdict:
    """Return the verdict on a vintage; its findings are fatal where it is the odd one among its neighbours."""
    last = around.earlier[0] if around.earlier else {}
    following = around.later[0] if around.later else {}
    against = contradictions(now, last)
    if not against and not around.is_unsettled and not contradictions(now, following):
        return Verdict([], last)
    others = [one for one in (*around.earlier, *around.later) if one]
    opponents = [one for one in others if contradictions(now, one)]
    agreeing = next((pair for pair in combinations(opponents, 2) if not contradictions(*pair)), None)
    number_with_it = len(others) - len(opponents)
    if agreeing and len(opponents) > number_with_it:
        return Verdict(_as_odd(now, agreeing), {})
    sound = next((one for one in around.earlier if one and one not in opponents), {})
    if against and not number_with_it:
        return Verdict(_as_unsettled(now, last, against), {})
    return Verdict([], sound)


def contradictions(one: Statements, other: Statements) -> list[Contradiction]:
    """Return what keeps two vintages from both being right; the order of the two does not matter to whether any is."""
    found: list[Contradiction] = []
    for institution, statement in one.items():
        same = other.get(institution)
        if same:
            found += _countries_gone(institution, *sorted((statement, same), key=lambda s: s.as_of))
            if statement.number_alike(same) * 2 > len(statement.figures):
                continue  # most figures are the very same: nothing was shifted, scaled or mixed up
            found += _year_shifted(institution, statement, same)
            found += _unit_slipped(institution, statement, same)
        found += _of_another(institution, statement, other)
    return found


def _countries_gone(institution: str, before: Statement, after: Statement) -> Iterator[Contradiction]:
    """The IMF's list lost many countries: it has about as many as it always had, and other institutions have not."""
    if institution != "IMF":
        return
    gone = sorted(before.headlines.keys() - after.headlines.keys())
    if len(gone) > MAX_GONE_SHARE * len(before.headlines):
        expected = f"the {len(before.headlines)} countries of {before.day}"
        yield Contradiction("countries gone", institution, f"{len(gone)} gone: {first_few(gone)}", expected)


def _year_shifted(institution: str, now: Statement, then: Statement) -> Iterator[Contradiction]:
    """Figures of a new year are new figures: the old ones under another year mean that only a heading was changed."""
    new = now.figures.keys() - then.figures.keys()
    shifted = sum(
        any(then.figures.get((country, year + step)) == now.figures[country, year] for step in (-1, 1))
        for country, year in new
        if now.headlines[country][0] == year
    )
    if shifted > IDENTICAL_SHARE * len(now.headlines) >= MIN_PAIRS / 2:
        seen = f"{shifted} of {len(now.headlines)} figures are those of another year on {then.day}"
        yield Contradiction("year shifted", institution, seen, "new figures for a new year")


def _unit_slipped(institution: str, now: Statement, then: Statement) -> Iterator[Contradiction]:
    """The median country has about its figure of the other vintage, whatever the years."""
    before, after = then.headlines, now.headlines
    ratios = log_ratios((figure, before[name][1]) for name, (_, figure) in after.items() if name in before)
    if len(ratios) >= MIN_PAIRS and abs(median(ratios)) > MOST_MOVED * _doublings(now, then):
        seen = f"the median country has {math.exp(median(ratios)):.3g} times its figure of {then.day}"
        yield Contradiction("unit slip", institution, seen, "a factor between 0.5 and 2")


def _doublings(now: Statement, then: Statement) -> float:
    """Return how many times a country may double between two vintages: once at any time, and again every 12 years."""
    return 1 + abs(int(now.as_of[:4]) - int(then.as_of[:4])) / 12


def _of_another(institution: str, statement: Statement, other: Statements) -> Iterator[Contradiction]:
    """No institution's figures are what the other vintage has of another institution."""
    own = statement.by_country
    for name, then in other.items():
        same = len(own & then.every_year) if name != institution else 0
        if same > IDENTICAL_SHARE * len(own) >= MIN_PAIRS / 2:
            seen = f"{same} of {len(own)} figures are {name}'s on {then.day}"
            yield Contradiction("institutions mixed up", institution, seen, "figures of its own")


def _as_odd(now: Statements, agreeing: tuple[Statements, Statements]) -> list[Finding]:
    """Return fatal findings on a vintage that two others, which agree with each other, contradict."""
    days = " and ".join(sorted({max(one.day for one in statements.values()) for statements in agreeing}))
    return [
        Finding(
            one.check, True, one.institution, now[one.institution].as_of,
            f"{one.seen}; those of {days} agree with each other and not with this one", one.expected,
        )
        for one in contradictions(now, agreeing[0])
    ]  # fmt: skip


def _as_unsettled(now: Statements, last: Statements, against: list[Contradiction]) -> list[Finding]:
    """Return findings on a vintage that contradicts the only other one, with a Note on every figure concerned."""
    findings = []
    for one in against:
        statement = now[one.institution]
        day = max(other.day for other in last.values())
        note = f"{one.check}: {one.seen}; this vintage or that of {day} is wrong"
        seen = f"{one.check}: {one.seen}"
        expected = f"{one.expected}; this vintage or that of {day} is wrong, and the next one tells"
        notes = dict.fromkeys(statement.figures, note)
        findings.append(
            Finding(UNSETTLED, False, one.institution, statement.as_of, seen, expected, notes, flag=CONTRADICTS_VINTAGE)
        )
    return findings
