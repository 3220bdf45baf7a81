"""Answers from the database for a terminal: screens, changes, findings, countries, revisions, the page beside the IMF.

Every function here reads the database and returns what prints the answer, so that nobody waits for a reader with the
database open. An answer is a table for people, one JSON object, or CSV.
"""

from __future__ import annotations

import csv
import enum
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gdp.model import CURRENT, FORMULA_SIGNS, IMF, PUBLISHERS, WIKIPEDIA, is_flagged_by_check
from gdp.report import Row
from gdp.report.attribution import attribution_of, kind_of
from gdp.report.revisions import (
    MOVED,
    NEW,
    OTHER_YEAR,
    Changes,
    add_changes,
    changed,
    last_refresh,
    ranking,
    revised_percent,
    revision_statistics,
    revision_words,
    summary,
    vintage_before,
    with_shares,
)
from gdp.runtime.terminal import Screen, is_for_terminal, show_table
from gdp.store.database import Connection, rows_of
from gdp.store.headlines import HEADLINES, of_vintage
from gdp.store.history import History, observations_of
from gdp.store.vintages import END_OF_DAY, Vintage
from gdp.validate.against_imf import AGREES, FigureComparison, compared, release_of, released_before
from gdp.validate.observations import MILLIONS_A_BILLION
from utils import Exit, StageError, percent, with_commas

THRESHOLD_BILLION_USD = 100
TOP = 5
SMALLEST_SHARE_PERCENT = 0.005  # below it two decimals would be 0.00
ROSE, FELL = "↑", "↓"  # by so many ranks
FLAGGED = "*"  # before a figure, so that decimals are in line
MOST_RELEASES = 40  # of the IMF, twenty years, among which a figure of the page is looked up
SHOWN_AFTER_A_LOAD = 10  # the largest changes; --changes has them all
WHAT_TO_DO = (
    "A flagged figure is no baseline for later ones. If it is right: python load.py --confirm CODE --because REASON"
)
FLAGGED_MEANS = f"{FLAGGED} flagged by a check, or under Revised: the last figure was; load.py --country has the reason"

# Hundredths are added up as integers, so that the mean is rounded half up, exactly.
REGION_MEANS = f"""
    WITH Headlines AS ({HEADLINES}),
    ranked AS (SELECT Region, CAST(round(GDP_USD_billion * 100) AS INTEGER) AS cents,
                      row_number() OVER (PARTITION BY Region ORDER BY GDP_USD_billion DESC, Country) AS place
               FROM Headlines WHERE Region IS NOT NULL)
    SELECT Region, CAST((2 * sum(cents) + count(*)) / (2 * count(*)) AS DOUBLE PRECISION) / 100 AS Mean_GDP_USD_billion,
           count(*) AS Countries
    FROM ranked WHERE place <= :top GROUP BY Region ORDER BY Mean_GDP_USD_billion DESC, Region
"""
FLAGGED_FIGURES = """
    SELECT Institution, Country, ISO3, Year, GDP_USD_billion, Flags, Note FROM GDP_Estimates
    WHERE Publisher = :publisher AND Until = :current AND Flags IS NOT NULL ORDER BY Institution, GDP_USD_billion DESC
"""
ONE_COUNTRY = """
    SELECT Country, ISO3, Institution, Publisher, Year, As_of, Until, GDP_USD_billion, GDP_USD_million, Note, Flags,
           Status
    FROM GDP_Estimates WHERE coalesce(ISO3, Country) = :country ORDER BY Institution, Publisher, Year, As_of
"""
Show = Callable[[], None]  # prints an answer


class Form(enum.Enum):
    """How an answer is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def print_json(answer: object) -> None:
    """Print an answer as one JSON object."""
    print(json.dumps(answer, indent=2))


def print_csv(rows: Sequence[Row]) -> None:
    """Print rows as CSV with a heading."""
    lines = csv.writer(sys.stdout, lineterminator="\n")
    if rows:
        lines.writerow(rows[0])
    lines.writerows(map(safe_cell, row.values()) for row in rows)


def safe_cell(value: Any) -> Any:
    """Return a value that no spreadsheet takes for a formula: anybody can edit a page, and the names in it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_SIGNS) else value


def answer_in(form: Form, answer: object, rows: Sequence[Row], show: Show) -> Show:
    """Return what prints an answer in a form: as JSON the answer, as CSV its rows, else what `show` prints."""
    if form is Form.TABLE:
        return show
    return lambda: print_json(answer) if form is Form.JSON else print_csv(rows)


def _texts(row: Row, *names: str) -> list[str]:
    return [str(row[name] or "") for name in names]


def figure_with_mark(billion_usd: float, flags: str | None) -> str:
    """Return a figure for a table, with a mark where a check flagged it."""
    return FLAGGED * is_flagged_by_check(flags) + with_commas(billion_usd)


def share_in_words(of_all_percent: float) -> str:
    """Return a share of all in percent."""
    return "<0.01 %" if 0 < of_all_percent < SMALLEST_SHARE_PERCENT else percent(of_all_percent, ".2f")


def _revised(row: Row) -> str:
    """Return the revision in words, with a mark where the last figure was flagged; the mark alone if all were."""
    words = "" if row["Revised_percent"] is None else revision_words(row["Revised_percent"])
    return FLAGGED * is_flagged_by_check(row.get("Last_Flags")) + words


def _has_flagged(row: Row) -> bool:
    return is_flagged_by_check(row["Flags"]) or is_flagged_by_check(row.get("Last_Flags"))


# --- the two screens --------------------------------------------------------------------------------------------------


def show_load(both: Row, changes: Changes, form: Form, is_quiet: bool, only_changes: bool) -> None:
    """Print the results of a load: `both` has the screens.

    A terminal gets both screens; a pipe also the largest changes, or one line where nothing changed. As JSON it is all.
    """
    is_terminal = is_for_terminal()
    is_unchanged = changes.since == changes.until and not changes.rows
    if form is Form.JSON:
        print_json({**both, "Changes": changes.as_object()})
        return
    if not (only_changes or is_quiet):
        if is_terminal or not is_unchanged:
            show_screens(both)
        if is_unchanged:
            print(summary(changes))
    if changes.since and (only_changes or not (is_quiet or is_terminal)):
        show_change_table(changes, SHOWN_AFTER_A_LOAD)


def show_as_of(connection: Connection, day: str | None, form: Form) -> Show:
    """Return what prints both screens as at the end of a day; raises StageError (66) before the first load."""
    history = History(connection)
    vintage = vintage_at(history, day)
    both = screens(history, vintage, history.headlines(vintage))
    return answer_in(form, both, both["Countries_over_100_billion_USD"], lambda: show_screens(both))


def vintage_at(history: History, day: str | None, near: Vintage | None = None) -> Vintage:
    """Return the newest vintage with IMF figures, or the newest at the end of a day, as vintage_before does.

    Raises StageError (66) where there is none.
    """
    vintage = vintage_before(history, day + END_OF_DAY if day else CURRENT, near)
    if vintage is None:
        first = next((v.as_of[:10] for v in history.vintages.of("IMF")), "none")
        when = f"of {day} or before are loaded; the first are of {first}" if day else "are loaded; run etl_process.py"
        raise StageError(Exit.NO_INPUT, f"no IMF figures {when}")
    return vintage


def screens(history: History, vintage: Vintage | None, headlines: Sequence[Row], latest: Changes | None = None) -> Row:
    """Return both screens as one object, from a vintage's headlines.

    `latest` is what changed with that vintage, if it is known.
    """
    countries = with_shares(headlines)
    means = rows_of(history.connection, REGION_MEANS, top=TOP, **of_vintage(vintage))
    changes = last_refresh(history, vintage, latest)
    attribution = str(attribution_of(vintage, countries)) if vintage else "nothing is loaded"
    large = [row for row in countries if row["GDP_USD_billion"] >= THRESHOLD_BILLION_USD]
    add_changes(large, changes)
    for row in large:
        row["Share_percent"] = round(row["Share_percent"], 2)
    return {
        "Institution": "IMF",
        "Publisher": vintage and vintage.publisher,
        "As_of": vintage and vintage.as_of,
        "Source": vintage and vintage.source,
        "Attribution": attribution,
        "Changed_since": changes.since,
        "Countries_and_territories": len(countries),
        "Countries_over_100_billion_USD": large,
        "Region_top_5_mean": means,
    }


def show_screens(both: Row) -> None:
    """Print the two tables."""
    large, regions, since = both["Countries_over_100_billion_USD"], both["Region_top_5_mean"], both["Changed_since"]
    columns = ["Rank", "Country", "Region", "Year", "GDP_USD_billion", "Share", *["Revised", "Moved"] * bool(since)]
    compared_with = f"; revised since {since[:10]}" if since else ""
    below = [f"Share: of the GDP of all {both['Countries_and_territories']} countries and territories together"]
    below += [FLAGGED_MEANS] * any(map(_has_flagged, large))
    show_table(Screen(
        f"Countries and territories with a GDP of {THRESHOLD_BILLION_USD} billion USD or more: {len(large)}\n"
        f"{both['Attribution']}{compared_with}",
        columns,
        [_large_economy(row)[: len(columns)] for row in large],
        frozenset(columns) - {"Country", "Region"},
        spare=("Share", "Moved", "Region", "Year", "Revised"),
        below="\n".join(below),
    ))  # fmt: skip
    show_table(Screen(
        f"Mean GDP of each region's {TOP} largest economies: {len(regions)} regions\n{both['Attribution']}",
        ["Region", "Mean_GDP_USD_billion", "Countries"],
        [[row["Region"], with_commas(row["Mean_GDP_USD_billion"]), str(row["Countries"])] for row in regions],
        frozenset({"Mean_GDP_USD_billion", "Countries"}),
        spare=("Countries",),
    ))  # fmt: skip


def _large_economy(row: Row) -> list[str]:
    rank, was = row["Rank"], row["Was_rank"]
    moved = "" if was in (None, rank) else f"{ROSE if was > rank else FELL}{abs(was - rank)}"
    cells = figure_with_mark(row["GDP_USD_billion"], row["Flags"]), share_in_words(row["Share_percent"])
    revised = _revised(row)
    if row["Revised_percent"] is None and row["Change"] in (OTHER_YEAR, NEW):
        revised = row["Change"]
    return [str(rank), row["Country"], row["Region"] or "?", str(row["Year"]), *cells, revised, moved]


# --- what changed -----------------------------------------------------------------------------------------------------


def show_changes(connection: Connection, since: str | None, form: Form) -> Show:
    """Return what prints what the last refresh changed, or what changed since a day; raises StageError (66)."""
    history = History(connection)
    newest = vintage_at(history, None)
    before = vintage_at(history, since, newest) if since else vintage_before(history, newest.as_of, newest)
    changes = changed(history, ranking(history, before), ranking(history, newest))
    last = history.last_change(newest)[:10]

    def show() -> None:
        print(summary(changes))
        if before and changes.rows:
            show_change_table(changes, len(changes.rows))
        elif before and not since:
            print(f"the last change was as of {last}; --since DATE compares with an earlier day")

    return answer_in(form, changes.as_object(), changes.rows, show)


def show_change_table(changes: Changes, most: int) -> None:
    """Print the largest changes, the largest first; nothing where there are none."""
    shown = [row for row in changes.rows if row["Change"] != MOVED or most == len(changes.rows)][:most]
    if not shown:
        return
    number = f", the {len(shown)} largest of {len(changes.rows)}" if len(shown) < len(changes.rows) else ""
    show_table(Screen(
        f"What changed between {(changes.since or '')[:10]} and {(changes.until or '')[:10]}{number}",
        ["Country", "Change", "Was", "GDP_USD_billion", "Revised", "Rank"],
        [
            [*_texts(row, "Country", "Change"),
             _for_year(row["Was_USD_billion"], row["Was_Flags"], row["Was_for_year"]),
             _for_year(row["GDP_USD_billion"], row["Flags"], row["Year"]), _revised(row), _ranks(row)] for row in shown
        ],
        frozenset({"Was", "GDP_USD_billion", "Revised", "Rank"}),
        spare=("Rank", "Change", "Was"),
        below=FLAGGED_MEANS if any(map(_has_flagged, shown)) else "",
    ))  # fmt: skip


def _for_year(billion_usd: float | None, flags: str | None, year: int | None) -> str:
    return "" if billion_usd is None else f"{figure_with_mark(billion_usd, flags)} ({year})"


def _ranks(row: Row) -> str:
    ranks = dict.fromkeys(str(rank) for rank in (row["Was_rank"], row["Rank"]) if rank is not None)
    return " → ".join(ranks)


# --- what the checks found --------------------------------------------------------------------------------------------


def show_findings(connection: Connection, form: Form) -> Show:
    """Return what prints the findings on the newest vintage with IMF figures, and the figures that are flagged.

    The most unusual figures come first.
    """
    history = History(connection)
    vintage = vintage_at(history, None)
    findings = json.loads(history.findings(vintage.publisher, vintage.as_of))
    flagged = rows_of(connection, FLAGGED_FIGURES, publisher=vintage.publisher, current=CURRENT)
    flagged = [row for row in flagged if is_flagged_by_check(row["Flags"])]
    ranks = _unusual(findings)
    flagged.sort(key=lambda row: -ranks.get((row["Institution"], row["Country"], row["Year"]), 0.0))
    answer = {"As_of": vintage.as_of, "Findings": findings, "Flagged": flagged}
    return answer_in(form, answer, flagged, lambda: _show_findings(vintage, findings, flagged))


def _unusual(findings: Iterable[Row]) -> dict[tuple[str, str, int], float]:
    """Return by institution, country and year how unusual each figure is that was found."""
    ranks: dict[tuple[str, str, int], float] = {}
    for one in findings:
        for country, year, rank in one.get("figures", ()):
            key = one["institution"], country, year
            ranks[key] = max(rank, ranks.get(key, rank))
    return ranks


def _show_findings(vintage: Vintage, findings: list[Row], flagged: list[Row]) -> None:
    of = f"{PUBLISHERS[vintage.publisher].label}, {vintage.as_of[:10]}"
    show_table(Screen(
        f"Findings on the figures of {of}: {len(findings)}",
        ["Severity", "Check", "Institution", "Seen", "Expected"],
        [_texts(one, "severity", "check", "institution", "seen", "expected") for one in findings],
        frozenset(),
        spare=("Institution", "Expected"),
    ))  # fmt: skip
    if not flagged:
        print("Flagged figures that are current: none")
        return
    show_table(Screen(
        f"Flagged figures that are current: {len(flagged)}",
        ["Institution", "Country", "Year", "GDP_USD_billion", "Flags", "Note"],
        [
            [*_texts(row, "Institution", "Country", "Year"), with_commas(row["GDP_USD_billion"]),
             *_texts(row, "Flags", "Note")] for row in flagged
        ],
        frozenset({"Year", "GDP_USD_billion"}),
        spare=("Flags",),
        below=WHAT_TO_DO if flagged else "",
    ))  # fmt: skip


# --- the page compared with the IMF -----------------------------------------------------------------------------------


def show_comparison(connection: Connection, day: str | None, form: Form) -> Show:
    """Return what prints where the page's IMF column departs from the IMF's own releases.

    Raises StageError (66) without a page, or without an IMF release from before it.
    """
    history = History(connection)
    page = history.newest_imf(day + END_OF_DAY if day else CURRENT, WIKIPEDIA.name)
    loaded = map(release_of, history.releases_before(page.as_of, MOST_RELEASES)) if page else ()
    releases = released_before(page.as_of, loaded) if page else []
    if page is None or not releases:
        missing = "no page is loaded" if page is None else f"no IMF release from before {page.as_of[:10]} is known"
        sources = f"--source {WIKIPEDIA.name} {IMF.name}"
        raise StageError(Exit.NO_INPUT, f"{missing}; run python etl_process.py {sources} first")
    rows = history.state(WIKIPEDIA.name, "IMF", page.as_of).values()
    comparison = compared(observations_of(page, "IMF", rows), releases)
    kinds = Counter(one.kind for one in comparison.by_departure)
    counts = {AGREES: kinds.pop(AGREES, 0), **kinds, "not published by the IMF": len(rows) - len(comparison.found)}
    days = [release.day for release in releases[:2]]
    departures = [_departure(one) for one in comparison.departures]
    answer = {"Page_as_of": page.as_of, "IMF_as_of": days, **counts, "Departures": departures}
    numbers = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    title = f"The page of {page.as_of[:10]} compared with the IMF's releases of {' and '.join(days)}: {numbers}"

    def show() -> None:
        print(title)
        if departures:
            _show_departures(departures)

    return answer_in(form, answer, departures, show)


def _departure(one: FigureComparison) -> Row:
    return {
        "Country": one.key[0],
        "Year": one.key[1],
        "Page_USD_billion": one.page / MILLIONS_A_BILLION,
        "IMF_USD_billion": one.own / MILLIONS_A_BILLION,
        "Departure_percent": round(one.departure * 100, 2),
        "Kind": one.kind,
        "Reason": one.reason,
    }


def _show_departures(departures: list[Row]) -> None:
    show_table(Screen(
        f"Figures that equal neither release: {len(departures)}",
        ["Country", "Year", "Page", "IMF", "Departure", "Kind", "Reason"],
        [
            [*_texts(row, "Country", "Year"), with_commas(row["Page_USD_billion"]), with_commas(row["IMF_USD_billion"]),
             percent(row["Departure_percent"]), *_texts(row, "Kind", "Reason")] for row in departures
        ],
        frozenset({"Year", "Page", "IMF", "Departure"}),
        spare=("Kind", "Reason", "Year"),
    ))  # fmt: skip


# --- one country, or some ---------------------------------------------------------------------------------------------


def show_countries(connection: Connection, names: Sequence[str], form: Form) -> Show:
    """Return what prints every estimate of some countries; raises StageError: 2 unknown country, 66 no figure."""
    titles = dict(country_named(connection, name) for name in names)
    estimates = {code: _estimates(connection, code, title) for code, title in titles.items()}
    objects = [{"Country": titles[code], "Estimates": rows} for code, rows in estimates.items()]

    def show() -> None:
        for code, rows in estimates.items():
            _show_estimates(titles[code], rows)

    every = [row for rows in estimates.values() for row in rows]
    return answer_in(form, objects[0] if len(objects) == 1 else objects, every, show)


def _estimates(connection: Connection, code: str, title: str) -> list[Row]:
    rows = rows_of(connection, ONE_COUNTRY, country=code)
    if not rows:
        raise StageError(Exit.NO_INPUT, f"no figure of {title} is loaded; run python etl_process.py first")
    baselines: dict[tuple[str, str, int], Row] = {}  # the last unflagged figure of each institution and year
    for row in rows:
        key = row["Institution"], row["Publisher"], row["Year"]
        row["Kind"] = kind_of(row)
        row["Until"] = None if row["Until"] == CURRENT else row["Until"]
        row["Revised_percent"] = revised_percent(baselines[key], row) if key in baselines else None
        if not is_flagged_by_check(row["Flags"]):
            baselines[key] = row
    return rows


def _show_estimates(title: str, rows: list[Row]) -> None:
    show_table(Screen(
        f"{title}: every estimate, from its As_of until another one followed, in billions of USD",
        ["Institution", "Year", "Kind", "As_of", "Until", "GDP_USD_billion", "Revised", "Publisher", "Note"],
        [
            [*_texts(row, "Institution", "Year", "Kind"), row["As_of"][:10], (row["Until"] or "now")[:10],
             figure_with_mark(row["GDP_USD_billion"], row["Flags"]), _revised(row), *_texts(row, "Publisher", "Note")]
            for row in rows
        ],
        frozenset({"Year", "As_of", "Until", "GDP_USD_billion", "Revised"}),
        spare=("Publisher", "Kind", "Note", "Revised", "Until"),
        below=f"{FLAGGED} flagged by a check" if any(map(_has_flagged, rows)) else "",
    ))  # fmt: skip


def show_revision_statistics(connection: Connection, name: str, form: Form) -> Show:
    """Return what prints how much a country's figures were revised; raises StageError: 2 unknown country, 66 none."""
    code, title = country_named(connection, name)
    rows = revision_statistics(connection, code)
    if not rows:
        raise StageError(Exit.NO_INPUT, f"no figure of {title} was published twice; load more vintages first")
    answer = {"Country": title, "Revisions": rows}
    return answer_in(form, answer, rows, lambda: _show_revision_statistics(title, rows))


def _show_revision_statistics(title: str, rows: list[Row]) -> None:
    headings = ["Releases apart", "Months", "Figures", "Mean", "Mean absolute"]
    cells: dict[tuple[str, str], list[list[str]]] = {}
    for row in rows:
        numbers = [str(row[name]) for name in ("Releases_apart", "Months_apart", "Figures")]
        mean, absolute = row["Mean_revision_percent"], row["Mean_absolute_revision_percent"]
        of_series = cells.setdefault((row["Institution"], row["Publisher"]), [])
        of_series.append([*numbers, percent(mean), percent(absolute, ".2f")])
    for names, of_series in cells.items():
        heading = f"{title}, {', '.join(names)}: revisions by distance between releases, in percent"
        show_table(Screen(heading, headings, of_series, frozenset(headings)))


def country_named(connection: Connection, name: str) -> tuple[str, str]:
    """Return the code and the name of a country by any of its names, or by a name that only the database knows.

    Raises StageError (2) for any other name.
    """
    from gdp.transform.countries import country_asked_for, reference

    if any("\ud800" <= letter <= "\udfff" for letter in name):  # bytes that are no text, which no database takes
        raise StageError(Exit.USAGE, f"{name!r} is no name; give a country's name, or its code, such as KOR")
    if country := country_asked_for(name):
        return country.iso3, country.name
    if rows_of(connection, "SELECT 1 FROM GDP_Estimates WHERE Country = :name LIMIT 1", name=name):
        return name, name
    near = ", ".join(reference().nearest(name)) or "none"
    raise StageError(Exit.USAGE, f"no country is called {name!r}; similar names: {near}; or give its code, such as KOR")
