"""A finding on the screen, in Checks.json and on the observations; what is new, and what puts a vintage in doubt."""

from __future__ import annotations

import json

from gdp.validate import thresholds as at
from gdp.validate.findings import (
    FigureFlags,
    Finding,
    checks_file_of,
    doubt_of,
    fatal_on,
    finding_on,
    marked,
    new_among,
    shown,
)  # fmt: skip
from gdp.validate.observations import Key
from tests.validate.lists import figures, observed

PAGE = observed(figures(20), flags={("C003", 2025): "year-assumed"})
KEYS: list[Key] = [("C000", 2025), ("C001", 2025), ("C002", 2025)]


def found(number: int = 3, first: int = 0, flag: str = "outlier") -> Finding:
    notes = {(f"C{place:03}", 2025): f"note {place}" for place in range(first, first + number)}
    ranks = {key: place / 10 for place, key in enumerate(notes, first)}
    return finding_on(PAGE, "out of line", "some", "none", FigureFlags(flag, notes, ranks))


def test_the_flagged_figures_come_with_the_most_unusual_first() -> None:
    assert found().keys == KEYS[::-1]


def test_a_finding_is_the_same_after_checks_json() -> None:
    content = json.loads(checks_file_of([found(), fatal_on(PAGE, "unit slip", "seen", "expected")], "a file", {"x": 1}))
    assert content["clean_file"] == "a file" and content["left_out"] == {"x": 1}
    first, second = content["findings"]
    assert (first["severity"], second["severity"]) == ("warning", "fatal")
    assert first["countries"] == ["C002", "C001", "C000"]
    assert first["notes"][0] == {"Country": "C002", "Year": 2025, "Note": "note 2", "rank": 0.2}
    assert "ranks" not in first
    assert Finding.from_json(first) == found()
    assert Finding.from_json(second) == fatal_on(PAGE, "unit slip", "seen", "expected")


def test_loads_has_the_figures_of_a_finding_from_the_most_unusual_on() -> None:
    short = found().in_short()
    assert short["figures"] == [["C002", 2025, 0.2], ["C001", 2025, 0.1], ["C000", 2025, 0.0]]
    assert (short["check"], short["severity"], short["institution"]) == ("out of line", "warning", "IMF")


def test_on_screen_are_the_six_most_unusual_figures_of_all_findings_together() -> None:
    some = [found(5), found(4, first=5, flag="sharp-revision")]
    lines = shown(some)
    assert lines[0] == ["out of line, IMF: 5 figures", "C004 2025: note 4", "C003 2025: note 3", "and 3 more"]
    assert lines[1][1] == "C008 2025: note 8" and len(lines[1]) == 5
    assert sum(line.startswith("C0") for one in lines for line in one) == at.MOST_SHOWN


def test_a_finding_on_a_whole_list_is_one_line() -> None:
    whole = fatal_on(PAGE, "unit slip", "seen", "expected")
    assert shown([whole]) == [["fatal: unit slip, IMF: seen; expected expected"]]
    assert whole.in_lines() == [str(whole)]
    assert found(1).in_lines() == ["out of line, IMF: 1 figure", "C000 2025: note 0"]
    assert found(8).in_lines()[-1] == "and 2 more"


def test_flags_and_notes_are_put_beside_those_of_the_source() -> None:
    flags, notes = marked(PAGE, [found(4), found(1, flag="sharp-revision")])
    assert flags[:5] == ["outlier sharp-revision", "outlier", "outlier", "year-assumed outlier", None]
    assert notes[0] == "note 0; note 0" and notes[3].endswith("; note 3") and notes[4] is None  # type: ignore[union-attr]


def test_a_fatal_finding_flags_all_figures_of_its_institution_if_it_is_forced() -> None:
    flags, notes = marked(PAGE, [fatal_on(PAGE, "unit slip", "seen", "expected")])
    assert flags[0] == "fatal" and notes[0] == "unit slip: seen"
    assert marked(PAGE, [found()._replace(institution="UN")]) == (PAGE.flags, PAGE.columns["Note"])
    whole = finding_on(PAGE, "all figures moved", "seen", "expected")
    assert marked(PAGE, [whole]) == (PAGE.flags, PAGE.columns["Note"])


def test_no_finding_is_reported_twice() -> None:
    (new,) = new_among([found()], {"IMF": {KEYS[0], KEYS[2]}})
    assert set(new.notes) == {KEYS[0], KEYS[2]}
    assert new_among([found()], {"IMF": set()}) == []
    assert new_among([found()], {}) == []
    whole = finding_on(PAGE, "stale", "190 of 194", "none")
    assert new_among([whole], {}) == [whole]
    assert new_among([whole], {}, {("stale", "IMF", "190 of 194")}) == []
    assert new_among([whole], {}, {("stale", "IMF", "191 of 194")}) == [whole]
    fatal = fatal_on(PAGE, "unit slip", "seen", "expected")
    assert new_among([fatal], {}, {("unit slip", "IMF", "seen")}) == [fatal]


def test_a_vintage_with_a_fatal_finding_or_one_on_a_whole_list_is_no_baseline() -> None:
    whole = finding_on(PAGE, at.MANY_MOVED, "seen", "expected")
    fatal = fatal_on(PAGE, "unit slip", "seen", "expected")
    assert doubt_of([found(), finding_on(PAGE, "countries new", "seen", "expected")]) is None
    assert doubt_of([found(), whole]) == at.MANY_MOVED
    assert doubt_of([whole, fatal]) == str(fatal)
    assert set(at.IN_DOUBT) == {at.UNSETTLED, at.ALL_MOVED, at.MANY_MOVED, at.MANY_DEPART}
