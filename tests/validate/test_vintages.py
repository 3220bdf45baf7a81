"""Whole vintages: the real ones that come with the suite are let through, and what cannot be the list is refused."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import pytest

from gdp.model import CONFIRMED, NEW_COUNTRY, ODD_YEAR, SHARP_REVISION, CleanRecord
from gdp.validate import thresholds as at
from gdp.validate.consistency import Surroundings
from gdp.validate.findings import Finding, doubt_of
from gdp.validate.observations import Baseline, Key, Observations, Statement, observations_in
from gdp.validate.single_vintage import check_vintage
from tests.validate.lists import changed, figures, observed, snapshot, snapshots

DAYS = list(snapshots())
ALTERED_DAY = "2025-01-08"  # on which thirteen figures had been altered
Edit = Callable[[list[CleanRecord]], Iterable[CleanRecord]]
Change = Callable[[list[float]], list[float]]


def around(*earlier: Sequence[Observations], **more: object) -> Surroundings:
    """Return earlier vintages, nearest first, as what a vintage is compared with; nothing was found on them."""
    statements = [{one.institution: one.statement for one in vintage} for vintage in earlier]
    baselines = {}
    for name in statements[0] if statements else ():
        known: dict[Key, float] = {}
        for vintage in reversed(statements):
            known |= vintage[name].figures if name in vintage else {}
        baselines[name] = Baseline(known.items)
    return Surroundings(earlier=statements, baselines=baselines, **more)  # type: ignore[arg-type]


def edited(day: str, edit: Edit) -> list[Observations]:
    return observations_in(edit([dict(record) for record in snapshots()[day]]))


def fatal(found: Iterable[Finding]) -> set[str]:
    return {one.check for one in found if one.fatal}


def flagged(found: Iterable[Finding], institution: str = "IMF") -> set[str]:
    return {country for one in found if one.institution == institution for country, _ in one.notes}


# --- honest vintages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", DAYS)
def test_no_real_vintage_is_refused_or_in_doubt_and_few_figures_are_flagged(day: str) -> None:
    places = range(DAYS.index(day))
    for surroundings in (around(), *(around(snapshot(DAYS[place])) for place in places)):
        found = check_vintage(snapshot(day), surroundings)
        assert doubt_of(found) is None
        assert sum(len(one.notes) for one in found) <= (17 if day == ALTERED_DAY else at.MOST_FLAGGED)


def test_a_real_vintage_is_not_refused_after_a_later_one() -> None:
    for day, after in pairwise(DAYS):
        assert not fatal(check_vintage(snapshot(day), around(snapshot(after))))


def test_the_six_wrong_figures_of_august_2023_are_found_with_their_kinds() -> None:
    (finding,) = (one for one in check_vintage(snapshot("2023-08-20"), around()) if one.notes)
    kinds = {country: note.rpartition("; ")[2].rpartition(": ")[2] for (country, _), note in finding.notes.items()}
    assert kinds.keys() == {"Egypt", "Kyrgyzstan", "Honduras", "Papua New Guinea", "Brunei", "Guinea"}
    assert kinds["Egypt"] == "digits exchanged"
    assert kinds["Honduras"] == "the figure is that of PNG (2023-04-11)"
    assert kinds["Papua New Guinea"] == "the figure is the one for 2022 (2022-10-11)"


def test_the_altered_figures_of_january_2025_are_found_with_the_page_before_and_without() -> None:
    altered = {
        "Argentina", "Bangladesh", "Brunei", "Bulgaria", "Czech Republic", "Ethiopia", "Hungary", "Macau", "Nigeria",
        "Oman", "Qatar", "Sudan", "Uzbekistan",
    }  # fmt: skip
    for surroundings in (around(), around(snapshot("2025-01-07"))):
        found = flagged(check_vintage(snapshot(ALTERED_DAY), surroundings))
        assert found - altered == {"Egypt", "Norway", "Philippines", "Vietnam"}
        assert found >= altered


# --- what no honest vintage is ----------------------------------------------------------------------------------------


def of_institution(records: list[CleanRecord], institution: str) -> list[CleanRecord]:
    return [record for record in records if record["Institution"] == institution]


def with_figures(
    records: list[CleanRecord], institution: str, change: Callable[[list[float]], list[float]]
) -> list[CleanRecord]:
    """Return records with other figures of an institution, in the order of the figures."""
    some = of_institution(records, institution)
    for record, billion in zip(some, change([one["GDP_USD_billion"] for one in some]), strict=True):
        record["GDP_USD_billion"], record["GDP_USD_million"] = billion, None
    return records


def shuffled(values: list[float]) -> list[float]:
    return random.Random(3).sample(values, len(values))


def some_off(share: float) -> Change:
    draw = random.Random(4)
    return lambda values: [one * draw.choice((0.8, 1.2)) if draw.random() < share else one for one in values]


def exchanged(one: str, other: str) -> Edit:
    """Return the edit that exchanges two headings, each with the year in it."""

    def edit(records: list[CleanRecord]) -> Iterable[CleanRecord]:
        years = {name: max(record["Year"] for record in of_institution(records, name)) for name in (one, other)}
        swap = {one: other, other: one}
        for record in records:
            name = record["Institution"]
            if name in swap:
                is_main = record["Year"] == years[name]
                record |= {"Institution": swap[name], "Year": years[swap[name]] if is_main else record["Year"]}
        return sorted(records, key=lambda record: str(record["Institution"]))

    return edit


def years_on(institution: str) -> Edit:
    def edit(records: list[CleanRecord]) -> Iterable[CleanRecord]:
        for record in of_institution(records, institution):
            record["Year"] += 1
        return records

    return edit


IMPOSSIBLE: dict[str, Edit] = {
    "shuffled": lambda records: with_figures(records, "IMF", shuffled),
    "a row down": lambda records: with_figures(records, "IMF", lambda values: [values[-1], *values[:-1]]),
    "a row up": lambda records: with_figures(records, "IMF", lambda values: [*values[1:], values[0]]),
    "x 1.5": lambda records: with_figures(records, "IMF", lambda values: [1.5 * one for one in values]),
    "x 0.67": lambda records: with_figures(records, "IMF", lambda values: [0.67 * one for one in values]),
    "60 % of them 20 % off": lambda records: with_figures(records, "IMF", some_off(0.6)),
    "years on": years_on("IMF"),
    "the World Bank's years on": years_on("World Bank"),
    "the World Bank's shuffled": lambda records: with_figures(records, "World Bank", shuffled),
    "the UN's shuffled": lambda records: with_figures(records, "UN", shuffled),
    "IMF and UN exchanged": exchanged("IMF", "UN"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
@pytest.mark.parametrize("day", DAYS)
def test_what_cannot_be_the_list_is_fatal_with_any_database(day: str, name: str) -> None:
    lying = edited(day, IMPOSSIBLE[name])
    found = check_vintage(lying, around())
    assert fatal(found)
    if "IMF" in {one.institution for one in found if one.fatal}:  # then its figures are not judged one by one
        assert not {"follows no known release", at.MANY_DEPART, "sharp revision"} & {one.check for one in found}
    for other in DAYS[: DAYS.index(day)]:
        assert fatal(check_vintage(lying, around(snapshot(other))))


@pytest.mark.parametrize("day", DAYS[1:])  # in 2018 both were for 2017, and alike
def test_the_imfs_and_the_world_banks_headings_exchanged_are_fatal(day: str) -> None:
    lying = edited(day, exchanged("IMF", "World Bank"))
    assert fatal(check_vintage(lying, around()))
    assert fatal(check_vintage(lying, around(snapshot(DAYS[0]))))


@pytest.mark.parametrize("day", DAYS[1:])
@pytest.mark.parametrize("change", [lambda values: [1.2 * one for one in values], some_off(0.2)])
def test_what_is_odd_as_a_whole_is_one_finding_without_flags(day: str, change: Change) -> None:
    found = check_vintage(edited(day, lambda records: with_figures(records, "IMF", change)), around())
    assert doubt_of(found) in at.IN_DOUBT and not fatal(found)
    assert not any(one.notes for one in found if one.flag != ODD_YEAR)


def test_a_sum_far_from_world_is_fatal_if_the_release_confirms_it_and_a_warning_else() -> None:
    world = {"IMF": {2024: 109_529_216.0}, "UN": {2022: 90_000_000.0}}
    scaled = edited("2024-06-30", lambda records: with_figures(records, "IMF", lambda v: [1.09 * one for one in v]))
    assert "sum against World" in fatal(check_vintage(scaled, around(world=world)))
    honest = check_vintage(snapshot("2024-06-30"), around(world=world))
    assert not fatal(honest)
    assert [one.institution for one in honest if one.check == "sum against World"] == ["UN"]


def test_a_page_that_follows_an_unknown_release_is_judged_by_what_is_usual() -> None:
    def of_december_2026(records: list[CleanRecord]) -> Iterable[CleanRecord]:
        for place, record in enumerate(of_institution(records, "IMF")):
            factor = 1.6 if record["ISO3"] == "HUN" else 1.01 + place % 5 / 200
            million = round(record["GDP_USD_million"] * factor)
            yield {**record, "As_of": "2026-12-01", "GDP_USD_million": million, "GDP_USD_billion": million / 1000}

    before = snapshot("2026-02-25")
    found = check_vintage(edited("2026-02-25", of_december_2026), around(before))
    assert "follows no known release" in {one.check for one in found}
    assert "Hungary" in {country for one in found if one.flag == SHARP_REVISION for country, _ in one.notes}


def test_one_cell_never_stops_a_vintage() -> None:
    def digit_too_many(records: list[CleanRecord]) -> Iterable[CleanRecord]:
        for record in records:
            if record["ISO3"] in {"USA", "NOR"} and record["Institution"] == "IMF":
                record["GDP_USD_billion"] *= 10 if record["ISO3"] == "USA" else 400
                record["GDP_USD_million"] = None
        return records

    for surroundings in (around(), around(snapshot("2024-06-30"))):
        found = check_vintage(edited("2025-01-07", digit_too_many), surroundings)
        assert not fatal(found) and flagged(found) >= {"United States", "Norway"}


def test_before_the_releases_a_column_in_another_unit_is_fatal_by_the_other_column() -> None:
    list_of_2012 = figures(190, 2011)
    un = observed(changed(list_of_2012, dict.fromkeys(list(list_of_2012)[::2], 0.03)), "UN", "2012-06-01")
    tripled = observed({key: 3 * figure for key, figure in list_of_2012.items()}, day="2012-06-01")
    assert "unit slip" not in fatal(check_vintage([observed(list_of_2012, day="2012-06-01"), un], around()))
    assert "unit slip" in fatal(check_vintage([tripled, un], around()))


# --- confirmed --------------------------------------------------------------------------------------------------------


def test_what_a_person_confirmed_is_shown_as_confirmed_and_not_flagged() -> None:
    key = ("Egypt", 2023)
    found = check_vintage(snapshot("2023-08-20"), around(confirmed={("IMF", key)}))
    confirmed = next(one for one in found if one.flag == CONFIRMED)
    assert set(confirmed.notes) == {key} and confirmed.check == "confirmed"
    assert "Egypt" not in {country for one in found if one.flag != CONFIRMED for country, _ in one.notes}
    assert len(flagged(found)) == 6


def test_a_confirmation_of_another_institutions_figure_confirms_nothing() -> None:
    found = check_vintage(snapshot("2023-08-20"), around(confirmed={("UN", ("Egypt", 2023))}))
    assert not any(one.flag == CONFIRMED for one in found)


def test_what_the_imf_confirms_no_other_check_flags() -> None:
    without_korea = edited("2025-01-07", lambda records: [one for one in records if one["ISO3"] != "KOR"])
    without_egypt = edited("2025-01-07", lambda records: [one for one in records if one["ISO3"] != "EGY"])
    assert "South Korea" not in flagged(check_vintage(snapshot("2025-01-07"), around(without_korea)))
    found = check_vintage(snapshot("2025-01-07"), around(without_egypt))
    assert {country for one in found if one.flag == NEW_COUNTRY for country, _ in one.notes} == {"Egypt"}


# --- the IMF's vintage in the database --------------------------------------------------------------------------------


def test_an_imf_vintage_in_the_database_confirms_and_contradicts_as_a_bundled_one() -> None:
    def of_2030(records: list[CleanRecord]) -> Iterable[CleanRecord]:
        for record in of_institution(records, "IMF"):
            yield {**record, "As_of": "2030-05-20", "Year": record["Year"] + 6}

    (page,) = edited("2024-06-30", of_2030)
    release = Statement("2030-04-16", page.statement.figures)
    assert not flagged(check_vintage([page], around(releases=[release])))
    other = Statement("2030-04-16", {**page.statement.figures, ("Germany", 2030): 4_000_000.0})
    found = check_vintage([page], around(releases=[other]))
    assert flagged(found) == {"Germany"}
    assert [one.check for one in check_vintage([page], around())] == ["follows no known release"]
