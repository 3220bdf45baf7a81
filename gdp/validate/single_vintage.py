"""Checks on one vintage: each list by itself, against other lists, against the IMF's own releases, figure by figure.

Every check returns findings of one kind. A fatal one stops the vintage, and needs evidence across many countries; with
any other the vintage is loaded, and the figures concerned are flagged. Thresholds are in thresholds.py.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

from gdp import model
from gdp.model import DUPLICATE, TWO_FIGURES
from gdp.validate import against_imf, consistency
from gdp.validate import thresholds as at
from gdp.validate.against_imf import Release, in_billions
from gdp.validate.consistency import LOOK_BACK, Surroundings, Verdict
from gdp.validate.findings import NO_FLAGS, FigureFlags, Finding, fatal_on, finding_on
from gdp.validate.observations import Baseline, Key, Observations, Row, Statement, Statements, is_left_out, median
from gdp.validate.single_figures import check_moves, check_outliers, moves
from utils import first_few, percent

Vintage = Mapping[str, Observations]  # by institution


def check_vintage(parts: Iterable[Observations], around: Surroundings) -> list[Finding]:
    """Return all findings on one vintage: one publisher's observations at one As_of, by institution."""
    published = sorted(parts, key=attrgetter("institution"))
    vintage = {one.institution: one_figure_each(one, around.baselines.get(one.institution)) for one in published}
    last = around.earlier[0] if around.earlier else {}
    loaded = [against_imf.release_of(statement) for statement in around.releases]
    releases = against_imf.nearest_releases(published[0].as_of, loaded)
    verdicts = _verdicts(vintage, around, releases)
    findings = [finding for one in published for finding in check_twice(one)]
    findings += [finding for one in vintage.values() for check in CHECKS_OF_A_LIST for finding in check(one)]
    for name, one in vintage.items():
        findings += [*check_come_and_gone(one, last.get(name)), *verdicts[name].findings]
    if "IMF" in vintage:
        findings += consistency.check_countries(vintage["IMF"], list(_baselines(vintage["IMF"], {}, around, releases)))
        findings += [] if releases else consistency.check_columns_apart(vintage)
    findings += [
        *check_institutions_gone(vintage, last),
        *consistency.check_alike(vintage),
        *consistency.check_unsourced(vintage, last),
    ]
    others: dict[str, list[Statement]] = {name: [statement] for name, statement in last.items()}
    others["IMF"] = [*others.get("IMF", []), *releases]
    findings += [finding for one in vintage.values() for finding in consistency.check_institutions_mixed(one, others)]
    about_figures, confirmed = _check_figures(vintage, verdicts, around, loaded)
    findings = list(without(findings + about_figures, confirmed))
    flagged = {name: {key for one in findings if one.institution == name for key in one.notes} for name in vintage}
    for name in [name for name in vintage if name in around.world]:
        findings += consistency.check_world(vintage[name], around.world[name], verdicts[name].fit, flagged[name])
    return [part for finding in findings for part in _by_confirmation(finding, around)]


def without(findings: Iterable[Finding], confirmed: Container[Key]) -> Iterator[Finding]:
    """Yield findings without the figures of the IMF's column that a release of the IMF confirms.

    That the page has a figure twice is a fact all the same.
    """
    for finding in findings:
        notes = {key: note for key, note in finding.notes.items() if key not in confirmed}
        is_about_page = finding.institution != "IMF" or finding.flag in model.SOURCE_FLAGS
        if is_about_page or len(notes) == len(finding.notes):
            yield finding
        elif notes:
            yield finding._replace(notes=notes)


def _by_confirmation(finding: Finding, around: Surroundings) -> Iterator[Finding]:
    """Yield a finding on the figures that nobody confirmed, and one on those that a person did."""
    confirmed = {key: note for key, note in finding.notes.items() if (finding.institution, key) in around.confirmed}
    if not confirmed:
        yield finding
        return
    left = {key: note for key, note in finding.notes.items() if key not in confirmed}
    if left:
        yield finding._replace(notes=left)
    seen = f"confirmed by a person: {finding.check}"
    yield finding._replace(check=model.CONFIRMED, seen=seen, notes=confirmed, flag=model.CONFIRMED)


# --- against other lists ----------------------------------------------------------------------------------------------


def _verdicts(vintage: Vintage, around: Surroundings, releases: Sequence[Release]) -> dict[str, Verdict]:
    """Return by institution whether its list can be what it claims to be."""
    headlines = (vintage.get("IMF") or next(iter(vintage.values()))).statement.headlines
    order = sorted(headlines, key=lambda country: -headlines[country][1])
    return {
        name: consistency.judge(one, _baselines(one, vintage, around, releases), order) for name, one in vintage.items()
    }


def _baselines(
    one: Observations, vintage: Vintage, around: Surroundings, releases: Sequence[Release]
) -> Iterator[Statement]:
    """Yield the lists to compare an institution's figures with.

    Those are the vintage before and the nearest releases; without releases, one more vintage; without any of these, the
    other columns.
    """
    statements = [statements.get(one.institution) for statements in around.earlier[: 1 if releases else LOOK_BACK]]
    earlier = [statement for statement in statements if statement and statement.figures]
    yield from earlier
    yield from releases if one.institution == "IMF" else releases[:1]
    if not releases and not earlier:
        for name, other in vintage.items():
            if name != one.institution and other.statement.figures:
                yield Statement(other.as_of, other.statement.figures, f"the figures of {name}")


# --- figure by figure -------------------------------------------------------------------------------------------------


def _check_figures(
    vintage: Vintage, verdicts: Mapping[str, Verdict], around: Surroundings, loaded: Sequence[Release]
) -> tuple[list[Finding], set[Key]]:
    """Return the findings on single figures, and the figures of the IMF's column that a release of the IMF confirms.

    A list with a finding as a whole has none on its figures.
    """
    last = around.earlier[0] if around.earlier else {}
    findings: list[Finding] = []
    confirmed: set[Key] = set()
    for name, one in vintage.items():
        is_imf_column = name == "IMF" and one.publisher == model.WIKIPEDIA.name
        releases = against_imf.released_before(one.as_of, loaded) if is_imf_column else []
        judged: set[Key] = set()
        findings += against_imf.check_stale(one, releases) if releases else ()
        for comparison in against_imf.comparisons(one, releases) if releases else ():
            agreeing = {found.key for found in comparison.found if found.is_confirmed}
            confirmed |= agreeing
            judged |= {found.key for found in comparison.found} if comparison.is_comparable else agreeing
            findings += against_imf.check_against_imf(one, comparison) if verdicts[name].is_plain else ()
        before, figures = last[name].figures if name in last else {}, one.statement.figures
        new = (key for key, figure in figures.items() if key not in judged and before.get(key) != figure)
        if not verdicts[name].is_plain or (first_new := next(new, None)) is None:
            continue
        found = moves(one, around.baselines.get(name), releases)
        findings += check_moves(one, found, last.get(name), judged)
        if name == "IMF" and len(found) < len(figures):
            findings += check_outliers(vintage, {first_new, *new}.difference(found.keys))
    return findings, confirmed


# --- one list by itself ----------------------------------------------------------------------------------------------


def check_number(one: Observations) -> Iterable[Finding]:
    """An institution has about as many countries as it always has. Fatal if the IMF's list is shorter than ever.

    The World Bank's list has become longer and shorter again, so that a short one is no evidence.
    """
    limits = at.COUNTRIES if one.as_of >= "2010" else {**at.COUNTRIES, **at.COUNTRIES_BEFORE_2010}
    low, high = limits.get(one.institution, (0, math.inf))
    number = len(one.statement.headlines)
    if number and not low <= number <= high:
        fatal = number < low and one.institution == "IMF"
        yield (fatal_on if fatal else finding_on)(one, "number of countries", f"{number} countries", f"{low} to {high}")


def check_years(one: Observations) -> Iterable[Finding]:
    """Years are near that of As_of, and nearly all the same."""
    now = int(one.as_of[:4])
    oldest = at.OLDEST_YEARS_IMF if one.institution == "IMF" else at.OLDEST_YEARS
    expected = range(now - oldest, now + at.NEWEST_YEARS + 1)
    years, headlines = one.headline_years, one.statement.headlines
    odd = {(country, year): f"for {year}" for country, (year, _) in headlines.items() if year not in expected}
    if odd:
        seen = f"{first_few(dict.fromkeys(odd.values()))}: {first_few(country for country, _ in odd)}"
        flagged = FigureFlags(model.ODD_YEAR, odd) if len(odd) <= at.MOST_FLAGGED else NO_FLAGS
        yield finding_on(one, "year out of range", seen, f"{now - oldest} to {now + at.NEWEST_YEARS}", flagged)
    if years and years[0][1] < at.MAIN_YEAR_SHARE * len(headlines):
        seen = ", ".join(f"{year} for {number}" for year, number in years)
        share = percent(100 * at.MAIN_YEAR_SHARE, ".0f")
        yield finding_on(one, "years mixed", seen, f"one year for {share} of them")


def check_large_economies(one: Observations) -> Iterable[Finding]:
    """The large economies are there. Fatal if many of the IMF's are missing."""
    codes = set(one.codes)
    missing = [name for code, name in at.LARGE_ECONOMIES.items() if code not in codes]
    if missing and one.statement.figures:
        fatal = one.institution == "IMF" and len(missing) > at.MAX_LARGE_MISSING
        seen = f"no figure for {first_few(missing)}"
        yield (fatal_on if fatal else finding_on)(one, "large economies missing", seen, "one for each")


def check_outside(one: Observations) -> Iterable[Finding]:
    """The IMF's outlook leaves out the same territories; with many of them a list is another institution's. Fatal then.

    What the IMF itself published is the IMF's.
    """
    if (
        one.institution != "IMF"
        or one.publisher != model.WIKIPEDIA.name
        or at.OUTSIDE_THE_OUTLOOK.isdisjoint(one.codes)
    ):
        return
    outside = [
        key for key, code in zip(one.keys, one.codes, strict=True)
        if code in at.OUTSIDE_THE_OUTLOOK and key in one.statement.figures
    ]  # fmt: skip
    if outside:
        seen = f"figures of {first_few(country for country, _ in outside)}"
        expected = "none: the IMF's outlook leaves them out"
        if len(outside) > at.MAX_OUTSIDE:
            yield fatal_on(one, "institutions mixed up", seen, expected)
        else:
            notes = dict.fromkeys(outside, "the IMF's outlook has no figure for it")
            yield finding_on(one, "outside the outlook", seen, expected, FigureFlags(model.OUTSIDE_OUTLOOK, notes))


def check_scale(one: Observations) -> Iterable[Finding]:
    """The large economies have about their usual share of the world's GDP. Fatal; one cell does not decide."""
    large = {country for country, code in one.iso3_of.items() if code in at.LARGE_ECONOMIES}
    shares = [
        figure / (at.WORLD_2025_MILLION_USD * at.WORLD_GROWTH ** (year - 2025))
        for country, (year, figure) in one.statement.headlines.items() if country in large
    ]  # fmt: skip
    if len(shares) <= at.MAX_LARGE_MISSING:
        return
    scale = median(shares) / at.LARGE_SHARE
    if not 1 / at.MAX_SCALE <= scale <= at.MAX_SCALE:
        seen = f"the large economies have {scale:.3g} times their usual share of the world's GDP"
        yield fatal_on(one, "unit slip", seen, f"a factor of {at.MAX_SCALE} at most")


def check_same_figure(one: Observations) -> Iterable[Finding]:
    """Countries have figures of their own. Fatal."""
    headlines = one.statement.headlines
    figures = [figure for _, figure in headlines.values()]
    most = max(at.MAX_SAME_SHARE * len(headlines), at.AT_LEAST)
    if len(figures) - len(set(figures)) + 1 <= most:  # so many are alike at most
        return
    figure, number = Counter(figures).most_common(1)[0]
    if number > most:
        seen = f"{number} of {len(headlines)} countries have {in_billions(figure)}"
        share = percent(100 * at.MAX_SAME_SHARE, ".0f")
        yield fatal_on(one, "same figure", seen, f"at most {share} alike")


CHECKS_OF_A_LIST: tuple[Callable[[Observations], Iterable[Finding]], ...] = (
    check_number, check_years, check_large_economies, check_outside, check_scale, check_same_figure,
)  # fmt: skip


# --- countries and institutions that come and go ----------------------------------------------------------------------


def check_come_and_gone(one: Observations, last: Statement | None) -> Iterable[Finding]:
    """The countries are those of the last vintage, but for a few."""
    if last is None or not one.statement.figures or last.headlines.keys() == one.statement.headlines.keys():
        return
    before, now = last.headlines, one.statement.headlines
    gone, come = sorted(before.keys() - now.keys()), sorted(now.keys() - before.keys())
    if gone:
        expected = f"the {len(before)} countries of {last.day}"
        yield finding_on(one, "countries gone", f"{len(gone)} gone: {first_few(gone)}", expected)
    if come and before:
        notes = {(country, now[country][0]): f"not in the vintage of {last.day}" for country in come}
        few = one.institution == "IMF" and len(come) <= at.MOST_FLAGGED
        flagged = FigureFlags(model.NEW_COUNTRY, notes) if few else NO_FLAGS
        yield finding_on(one, "countries new", f"{len(come)} new: {first_few(come)}", "the same countries", flagged)


def check_institutions_gone(vintage: Vintage, last: Statements) -> Iterable[Finding]:
    """The institutions are those of the last vintage."""
    newest = max((statement.as_of for statement in last.values()), default="")
    as_of = next(iter(vintage.values())).as_of
    for name, statement in last.items():
        if name not in vintage and statement.as_of == newest:
            seen = f"no figure, where {statement.day} had {len(statement.figures)}"
            yield Finding("institution gone", False, name, as_of, seen, "the institutions of the last vintage")


# --- a country with more than one figure for a year -------------------------------------------------------------------


def one_figure_each(part: Observations, baseline: Baseline | None) -> Observations:
    """Return a vintage's observations of an institution with one figure a country and year.

    Of several, one that has a source: the nearest to the baseline, for the year or the nearest one, else the lowest. A
    flag says that there are others.
    """
    if part.has_each_once:
        return part
    several = [key for key, figures in figures_by_key(part).items() if len(figures) > 1]
    before = baseline.nearest(several) if baseline else {}

    chosen: dict[Key, tuple[tuple[bool, float, float], Row]] = {}
    for key, row, million in zip(part.keys, part.rows(), part.millions, strict=True):
        known, _ = before.get(key, (million, 0))
        preference = is_left_out(row["Flags"]), abs(million - known), million
        if key not in chosen or preference < chosen[key][0]:
            chosen[key] = preference, row
    rows = {key: row for key, (_, row) in chosen.items()}
    for key in several:
        rows[key]["Flags"] = model.joined_flags([*(rows[key]["Flags"] or "").split(), TWO_FIGURES])
    return part.with_rows(list(rows.values()))


def figures_by_key(part: Observations) -> dict[Key, set[float]]:
    """Return the figures of each country and year, in millions of USD; sourced ones only, where there are any."""
    found: dict[tuple[bool, Key], set[float]] = {}
    for key, million, flags in zip(part.keys, part.millions, part.flags, strict=True):
        found.setdefault((is_left_out(flags), key), set()).add(million)
    return {key: figures for (left_out, key), figures in found.items() if not left_out or (False, key) not in found}


def check_twice(part: Observations) -> Iterable[Finding]:
    """A country has one figure a year; a list in which many have two is two lists. Fatal then."""
    both = part.statement.figures.keys() & part.unsourced.keys()
    if both:
        countries = first_few(sorted(country for country, _ in both))
        seen = f"{len(both)} figures without a source are for the same year as others: {countries}"
        yield finding_on(part, "figures left out", seen, "one figure a year; those with a source are used")
    repeated = [key for key, flags in zip(part.keys, part.flags, strict=True) if model.has_flag(flags, DUPLICATE)]
    if repeated:
        seen = f"{first_few(country for country, _ in repeated)} twice, with the same figure"
        flagged = FigureFlags(DUPLICATE, dict.fromkeys(repeated, "with the same figure"))
        yield finding_on(part, "a country twice", seen, "once", flagged)
    every = {} if part.has_each_once else figures_by_key(part)
    several = {key: sorted(figures) for key, figures in every.items() if len(figures) > 1}
    if several:
        notes = {key: " and ".join(map(in_billions, figures)) for key, figures in several.items()}
        seen = f"two figures for {first_few(f'{country} ({note})' for (country, _), note in notes.items())}"
        if len(several) > max(at.MAX_TWICE_SHARE * len(part.statement.headlines), at.AT_LEAST):
            yield fatal_on(part, "a country twice", seen, "one a year")
        else:
            yield finding_on(part, "a country twice", seen, "one a year", FigureFlags(TWO_FIGURES, notes))
