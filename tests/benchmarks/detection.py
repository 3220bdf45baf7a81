"""How many edits of an honest page the checks find, one figure at a time and whole columns, and what else they flag.

    python tests/benchmarks/detection.py

The pages are the IMF's own releases, as the page would have had them. Each kind of edit is made 25 times, on figures
and steps drawn with a fixed seed. "Page alone" judges by the page before, with usual steps from all steps but those
of the release in question; "with releases" by the releases that come with the suite. Every number is a percentage.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from gdp.validate.against_imf import Release, bundled
from gdp.validate.consistency import Surroundings, judge
from gdp.validate.findings import doubt_of
from gdp.validate.observations import VARYING, Baseline, Key, Observations
from gdp.validate.single_figures import check_moves, moves, steps_between, usual_steps_of
from gdp.validate.single_vintage import check_vintage
from gdp.validate.thresholds import COUNTRIES, UNSETTLED

TIMES, SEED = 25, 24  # in which single edits and columns are drawn
DAYS_AFTER = 40  # from a release to the page that has it
SIZES = (0.01, 0.02, 0.05, 0.10, 0.20, 0.30, 0.50)
WHOLE = tuple(release for release in bundled() if release.is_whole)
PAGE = "https://en.wikipedia.org/w/index.php?title=List_of_countries_by_GDP_(nominal)&oldid=1"
LEAST = COUNTRIES["IMF"][0]  # the tables of 2019 and 2020 have 177 countries, and pages had 190
Figures = dict[Key, float]  # by ISO3 and year


class Step(NamedTuple):
    """An honest pair of vintages: what the page had, what it has now, and the release that it follows now."""

    release: Release
    before: Observations
    now: Observations


def page_of(release: Release, year: int, day: str) -> Observations:
    """Return the page of a day with a release's figures for a year, in whole millions."""
    rows = [(code, round(figure)) for (code, of_year), figure in release.figures.items() if of_year == year]
    return observations_of({(code, year): figure for code, figure in rows if figure}, day)


def observations_of(figures: Figures, day: str) -> Observations:
    """Return figures by ISO code as the IMF's observations of a page."""
    columns: dict[str, list[object]] = {name: [None] * len(figures) for name in VARYING}
    columns["Country"] = [code for code, _ in figures]  # a name would do as well
    columns["ISO3"] = [code for code, _ in figures]
    columns["Year"] = [year for _, year in figures]
    columns["GDP_USD_million"] = list(figures.values())
    columns["GDP_USD_billion"] = [figure / 1000 for figure in figures.values()]
    return Observations(day, PAGE, "IMF", columns)


def later(day: str, days: int) -> str:
    """Return the day so many days after another."""
    return (date.fromisoformat(day) + timedelta(days)).isoformat()


# --- situations -------------------------------------------------------------------------------------------------------


def same_release() -> Iterator[Step]:
    """Yield two pages of the same release."""
    for release in WHOLE:
        year = int(release.day[:4])
        before = page_of(release, year, later(release.day, DAYS_AFTER))
        yield Step(release, before, page_of(release, year, later(release.day, DAYS_AFTER + 5)))


def next_release(distance: int = 1, years: int = 0) -> Iterator[Step]:
    """Yield a page of a release, and one of a later release: for the same reference year, or for a later one."""
    for older, newer in zip(WHOLE, WHOLE[distance:], strict=False):
        year = int(newer.day[:4])
        if newer.day[:7] == "2020-10" and distance == 1:
            continue  # a year after the one before, over the pandemic
        before = page_of(older, year - years, later(older.day, DAYS_AFTER))
        yield Step(newer, before, page_of(newer, year, later(newer.day, DAYS_AFTER)))


def year_moves_on() -> Iterator[Step]:
    """Yield a page of a release in December, and one in January with the figures for the new year."""
    for release in WHOLE:
        if release.day[5:7] == "10":
            year = int(release.day[:4])
            before = page_of(release, year, f"{year}-12-20")
            yield Step(release, before, page_of(release, year + 1, f"{year + 1}-01-20"))


SITUATIONS: dict[str, Callable[[], Iterator[Step]]] = {
    "same release": same_release,
    "next release": next_release,
    "year moves on": year_moves_on,
    "next release, year moves on": lambda: (one for one in next_release(1, 1) if one.release.day[5:7] == "04"),
    "two years apart": lambda: next_release(4, 2),
}

# --- edits ------------------------------------------------------------------------------------------------------------

Edit = Callable[[Figures, Key, random.Random], float]


def by_share(share: float) -> Edit:
    """Return the edit that changes a figure by a share, to the next million at least."""

    def edit(figures: Figures, key: Key, _: random.Random) -> float:
        return round(figures[key] * (1 + share)) or 1

    return edit


def digits_exchanged(figures: Figures, key: Key, _: random.Random) -> float:
    """Return a figure with its first two neighbouring digits that differ exchanged."""
    text = f"{figures[key]:.0f}"
    for place, (first, second) in enumerate(pairwise(text)):
        if first != second and (place or second != "0"):
            return float(text[:place] + second + first + text[place + 2 :])
    return figures[key]


def a_neighbours(figures: Figures, key: Key, _: random.Random) -> float:
    """Return the figure of the country one rank above."""
    ranked = sorted(figures.values(), reverse=True)
    return ranked[max(0, ranked.index(figures[key]) - 1)]


def whole_billions(figures: Figures, key: Key, draw: random.Random) -> float:
    """Return a figure that is a few whole billions higher, by a twentieth to a third of it."""
    least, most = figures[key] / 20_000, figures[key] / 3_000
    return figures[key] + 1000 * max(1, round(draw.uniform(least, most)))


EDITS: dict[str, Edit] = {
    **{f"{sign}{100 * size:.0f} %": by_share(size if sign == "+" else -size) for size in SIZES for sign in "+-"},
    "x 10": by_share(9), ": 10": by_share(-0.9), "digits": digits_exchanged, "neighbour's": a_neighbours,
    "billions": whole_billions,
}  # fmt: skip

Column = Callable[[Figures, random.Random], Figures]


def shuffled(figures: Figures, draw: random.Random) -> Figures:
    """Return the figures shuffled among the countries."""
    values = list(figures.values())
    draw.shuffle(values)
    return dict(zip(figures, values, strict=True))


def a_row_off(figures: Figures, draw: random.Random) -> Figures:
    """Return the figures one row up or down, as the page sorts them."""
    ranked = sorted(figures, key=lambda key: -figures[key])
    step = draw.choice((-1, 1))
    return {key: figures[ranked[(place + step) % len(ranked)]] for place, key in enumerate(ranked)}


def times(factor: float) -> Column:
    """Return the edit that multiplies every figure."""
    return lambda figures, _: {key: round(figure * factor) for key, figure in figures.items()}


def years_on(figures: Figures, _: random.Random) -> Figures:
    """Return the figures under the next year."""
    return {(code, year + 1): figure for (code, year), figure in figures.items()}


def some_off(share: float) -> Column:
    """Return the edit that changes a share of the figures by 20 %."""

    def edit(figures: Figures, draw: random.Random) -> Figures:
        return {
            key: round(figure * draw.choice((0.8, 1.2))) if draw.random() < share else figure
            for key, figure in figures.items()
        }

    return edit


COLUMNS: dict[str, Column] = {
    "honest": lambda figures, _: figures, "shuffled": shuffled, "a row off": a_row_off, "x 1.5": times(1.5),
    "x 0.67": times(0.67), "years moved on": years_on, "60 % of them 20 % off": some_off(0.6), "x 1.2": times(1.2),
    "20 % of them 20 % off": some_off(0.2),
}  # fmt: skip

# --- judging ----------------------------------------------------------------------------------------------------------

Result = tuple[str, set[Key]]  # "fatal", "finding" or "", and the figures that are flagged, by country and year
Judge = Callable[[Step, Observations], Result]


def by_page_alone(step: Step, page: Observations) -> Result:
    """Return the result by the page before, with what is usual from the steps of other releases."""
    others = [pair for pair in pairwise(WHOLE) if step.release not in pair]
    usual = usual_steps_of(steps_between(*pair) for pair in others)
    last = step.before.statement
    verdict = judge(page, [last], [])
    if not verdict.is_plain:
        return ("fatal" if verdict.findings[0].check == UNSETTLED else "finding"), set()
    found = check_moves(page, moves(page, baseline_of(step), []), last, (), usual)
    return "", {key for finding in found for key in finding.notes}


def with_releases(step: Step, page: Observations) -> Result:
    """Return the result of all checks, given the page before and the releases that come with the suite."""
    around = Surroundings(earlier=[{"IMF": step.before.statement}], baselines={"IMF": baseline_of(step)})
    findings = check_vintage([page], around)
    outcome = "fatal" if any(one.fatal for one in findings) else "finding" if doubt_of(findings) else ""
    return outcome, {key for finding in findings for key in finding.notes}


def baseline_of(step: Step) -> Baseline:
    """Return the figures of the page before as the ones that nothing was found against."""
    return Baseline(step.before.statement.figures.items)


JUDGES: dict[str, Judge] = {"page alone": by_page_alone, "with releases": with_releases}


def figures_of(page: Observations) -> Figures:
    """Return a page's figures by ISO code and year."""
    return dict(zip(zip(page.codes, page.years, strict=True), page.millions, strict=True))  # type: ignore[arg-type]


def share_found(steps: list[Step], edit: Edit, judged: Judge, name: str) -> float:
    """Return which percentage of single edits is flagged or refused."""
    draw = random.Random(f"{SEED} {name}")
    found = 0
    for _ in range(TIMES):
        step = draw.choice(steps)
        figures = figures_of(step.now)
        key = draw.choice(
            [one for one in figures if one[0] in step.before.codes and edit(figures, one, draw) != figures[one]]
        )
        page = observations_of({**figures, key: edit(figures, key, draw)}, step.now.as_of)
        outcome, flagged = judged(step, page)
        country = page.countries[page.codes.index(key[0])]
        found += bool(outcome) or (country, key[1]) in flagged
    return 100 * found / TIMES


def outcomes(steps: list[Step], edit: Column, judged: Judge, name: str) -> str:
    """Return which percentage of edited columns is refused, and which has a finding."""
    draw = random.Random(f"{SEED} {name}")
    results = []
    for _ in range(TIMES):
        step = draw.choice(steps)
        results.append(judged(step, observations_of(edit(figures_of(step.now), draw), step.now.as_of))[0])
    return f"{100 * results.count('fatal') // TIMES} / {100 * results.count('finding') // TIMES}"


def main() -> None:
    """Print the tables, as they are in RESULTS.md."""
    steps = {name: [step for step in make() if len(step.now) >= LEAST] for name, make in SITUATIONS.items()}
    columns = [(situation, judge_name) for situation in steps for judge_name in JUDGES]
    print("| edit | " + " | ".join(f"{situation}, {judge_name}" for situation, judge_name in columns) + " |")
    print("|---|" + "--:|" * len(columns))
    honest = [flags_on_honest(steps[situation], JUDGES[judge_name]) for situation, judge_name in columns]
    print("| flags on honest pages: median, most | " + " | ".join(honest) + " |")
    for name, edit in EDITS.items():
        shares = [share_found(steps[one], edit, JUDGES[judge_name], name) for one, judge_name in columns]
        print(f"| {name} | " + " | ".join(f"{share:.0f}" for share in shares) + " |", flush=True)
    print("\nWhole columns, refused / loaded with a finding:\n")
    print("| edit | " + " | ".join(f"{situation}, {judge_name}" for situation, judge_name in columns) + " |")
    print("|---|" + "--:|" * len(columns))
    for title, column in COLUMNS.items():
        results = [outcomes(steps[one], column, JUDGES[judge_name], title) for one, judge_name in columns]
        print(f"| {title} | " + " | ".join(results) + " |", flush=True)


def flags_on_honest(steps: list[Step], judged: Judge) -> str:
    """Return the median and the greatest number of flags on honest pages."""
    numbers = [len(judged(step, step.now)[1]) for step in steps]
    return f"{statistics.median(numbers):.0f}, {max(numbers)}"


if __name__ == "__main__":
    main()
