"""Of vintages that contradict each other the odd one is found, whichever came first, and no honest one is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone

import pytest

from gdp.records import CleanRecord
from gdp.sources.wikipedia import page as wikipedia
from gdp.transform.rules import clean
from gdp.validate.consistency import NO_NEIGHBOURS, UNSETTLED, Neighbours, contradictions
from gdp.validate.findings import Finding
from gdp.validate.observations import Statement, said_in
from gdp.validate.series import Statements, series_of
from gdp.validate.single_vintage import check_vintage
from tests.page_builder import SHIPPED

Records = list[CleanRecord]


@pytest.fixture(scope="module")
def honest() -> Records:
    import gzip

    page = wikipedia.parse(gzip.decompress(SHIPPED.read_bytes()), "", datetime(2025, 12, 30, tzinfo=timezone.utc))
    outcomes = [clean(raw) for raw in page.records]
    return [one.record for one in outcomes if one.record and one.fate == "clean"]


def of_day(records: Records, day: str, edit: Callable[[CleanRecord], None] = lambda record: None) -> Records:
    """Return a vintage of another day, each record edited."""
    changed: Records = []
    for record in records:
        changed.append({**record, "As_of": day})
        edit(changed[-1])
    return changed


def statements(records: Records) -> Statements:
    return {said.institution: series_of(said).stated for said in said_in(records)}


def checked(records: Records, around: Neighbours = NO_NEIGHBOURS) -> tuple[list[Finding], bool]:
    return check_vintage(said_in(records), around)


def beside(earlier: Sequence[Records], later: Sequence[Records] = (), is_unsettled: bool = False) -> Neighbours:
    """Return neighbours, the nearest first."""
    return Neighbours(
        lambda distance: statements(earlier[distance]) if distance < len(earlier) else {},
        lambda distance: statements(later[distance]) if distance < len(later) else {},
        is_unsettled,
    )


def year_shifted(record: CleanRecord) -> None:
    if record["Institution"] == "IMF":
        record["Year"] += 1


def in_other_units(record: CleanRecord) -> None:
    if record["Institution"] == "IMF":
        record["GDP_USD_billion"] /= 2.2


def institutions_swapped(record: CleanRecord) -> None:
    swapped = {"IMF": "World Bank", "World Bank": "IMF"}
    record["Institution"] = swapped.get(record["Institution"], record["Institution"])


LIES = [year_shifted, in_other_units, institutions_swapped]


def fatal(found: list[Finding]) -> set[str]:
    return {finding.check for finding in found if finding.fatal}


@pytest.mark.parametrize("lie", LIES)
def test_what_two_agreeing_vintages_contradict_is_fatal_and_names_their_days(
    lie: Callable[[CleanRecord], None], honest: Records
) -> None:
    before = [of_day(honest, "2025-12-29"), of_day(honest, "2025-12-28")]
    found, stirs = checked(of_day(honest, "2025-12-31", lie), beside(before))
    assert fatal(found) and stirs
    assert any(
        "those of 2025-12-28 and 2025-12-29 agree with each other and not with this one" in f.seen for f in found
    )


def test_against_one_other_vintage_nobody_knows_which_lies_and_each_figure_is_noted(honest: Records) -> None:
    found, stirs = checked(of_day(honest, "2025-12-31", year_shifted), beside([of_day(honest, "2025-12-29")]))
    assert not fatal(found) and stirs
    (unsettled,) = [finding for finding in found if finding.check == UNSETTLED]
    assert len(unsettled.notes) == sum(record["Institution"] == "IMF" for record in honest)


@pytest.mark.parametrize("lie", [year_shifted, in_other_units])
def test_an_honest_vintage_after_a_lying_one_loads_without_a_note_once_another_bears_it_out(
    lie: Callable[[CleanRecord], None], honest: Records
) -> None:
    lying, good = of_day(honest, "2025-12-30", lie), of_day(honest, "2025-12-29")
    found, stirs = checked(of_day(honest, "2025-12-31"), beside([lying, good]))
    assert stirs and not {UNSETTLED, *fatal(found)} & {finding.check for finding in found}
    found, _ = checked(lying, beside([good], [of_day(honest, "2025-12-31")]))
    assert fatal(found)


@pytest.mark.parametrize("lie", [year_shifted, in_other_units])
def test_the_first_vintage_ever_is_found_out_by_the_two_after_it(
    lie: Callable[[CleanRecord], None], honest: Records
) -> None:
    lying, second, third = of_day(honest, "2025-12-29", lie), of_day(honest, "2025-12-30"), of_day(honest, "2025-12-31")
    _, stirs = checked(third, beside([second, lying], is_unsettled=True))
    assert stirs
    assert fatal(checked(lying, beside([], [second, third]))[0])
    assert not fatal(checked(second, beside([], [third]))[0])


def test_an_institutions_figures_under_another_heading_are_found_on_the_very_first_page(honest: Records) -> None:
    found, _ = checked(of_day(honest, "2025-12-31", institutions_swapped), NO_NEIGHBOURS)
    assert "institutions mixed up" in fatal(found)

    others = [record for record in honest if record["Institution"] != "World Bank"]
    copied: Records = [{**r, "Institution": "World Bank", "Year": 2024} for r in honest if r["Institution"] == "UN"]
    assert "institutions mixed up" in fatal(checked(others + copied)[0])


def test_a_column_without_a_source_is_measured_by_nothing_and_told_where_it_is_anothers(honest: Records) -> None:
    of_the_un: Records = [
        {**record, "Institution": "IMF", "Year": 2026, "Note": "column without a source"}
        for record in honest if record["Institution"] == "UN"
    ]  # fmt: skip
    found, _ = checked(honest + of_the_un)
    seen = {finding.check: finding for finding in found}
    assert not seen["institutions mixed up"].fatal and "are UN's" in seen["institutions mixed up"].seen
    assert ("Cuba", 2026) in seen["countries without a source"].notes
    assert statements(honest + of_the_un)["IMF"].figures == statements(honest)["IMF"].figures


def test_a_figure_that_something_is_held_against_does_not_measure_the_next(honest: Records) -> None:
    key = ("Hungary", 2025)
    imf = statements(honest)["IMF"]

    def altered(record: CleanRecord, figure: float) -> None:
        if (record["Country"], record["Year"], record["Institution"]) == (*key, "IMF"):
            record["GDP_USD_billion"] = figure

    last = of_day(honest, "2025-12-30", lambda record: altered(record, 312.62))
    said = statements(last)
    measured = {**said, "IMF": Statement("2025-12-30", said["IMF"].figures, imf.figures)}
    around = Neighbours(lambda distance: {} if distance else measured, lambda _: {})

    def moved(figure: float) -> list[Finding]:
        found, _ = checked(of_day(honest, "2025-12-31", lambda record: altered(record, figure)), around)
        return [finding for finding in found if finding.check == "moved since the last load"]

    assert moved(imf.figures[key]) == []  # it is what it was before somebody altered it
    assert moved(312.62) == []  # it was noted when it was altered
    assert key in moved(400.0)[0].notes


def test_honest_vintages_contradict_none_of_their_neighbours(honest: Records) -> None:
    def released(record: CleanRecord) -> None:
        record["Year"] += 1
        record["GDP_USD_billion"] = round(record["GDP_USD_billion"] * 1.05, 2)

    assert contradictions(statements(honest), statements(of_day(honest, "2026-04-20", released))) == []
