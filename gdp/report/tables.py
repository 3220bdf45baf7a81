"""Answers from the database for a terminal: the two screens now and then, what changed, the findings, the IMF's own.

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
from gdp.report.attribution import attribution_of
from gdp.report.revisions import (
    MOVED,
    NEW,
    OTHER_YEAR,
    Changes,
    Row,
    add_changes,
    as_object,
    changes_between,
    earlier,
    last_refresh,
    revision_words,
    summary,
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
STALE, UNEXPLAINED = "stale", "unexplained"  # how a figure departs from the IMF's own
ROSE, FELL = "↑", "↓"  # by so many ranks
FLAGGED = "*"  # before a figure, so that decimals are in line
MOST_RELEASES = 40  # of the IMF, twenty years, among which a figure of the page is looked up
SHOWN_AFTER_A_LOAD = 10  # the largest changes; --changes has them all
WHAT_TO_DO = (
    "A flagged figure is no baseline for later ones. If it is right: python load.py --confirm CODE --because REASON"
)
FLAGGED_MEANS = f"{FLAGGED} flagged by a check: load.py --findings and load.py --country have the reason"

LARGE_ECONOMIES = f"""
    WITH Headlines AS ({HEADLINES}),
    ranked AS (SELECT rank() OVER (ORDER BY GDP_USD_billion DESC) AS Rank, Country, ISO3, Region, Year, GDP_USD_billion,
                      coalesce(100 * GDP_USD_billion / nullif(sum(GDP_USD_billion) OVER (), 0), 0) AS Share_percent,
                      Note, Flags
               FROM Headlines)
    SELECT * FROM ranked ORDER BY Rank, Country
"""
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


# --- the two screens --------------------------------------------------------------------------------------------------


def show_load(connection: Connection, changes: Changes, form: Form, is_quiet: bool, only_changes: bool) -> Show:
    """Return what prints the results of a load.

    A terminal gets both screens; a pipe also the largest changes, or one line where nothing changed. As JSON it is all.
    """
    both = screens(connection, History(connection).newest_imf())
    is_terminal = is_for_terminal()
    is_unchanged = changes.since == changes.until and not changes.rows

    def show() -> None:
        if form is Form.JSON:
            print_json({**both, "Changes": as_object(changes)})
            return
        if not (only_changes or is_quiet):
            if is_terminal or not is_unchanged:
                show_screens(both)
            if is_unchanged:
                print(summary(changes))
        if changes.since and (only_changes or not (is_quiet or is_terminal)):
            show_change_table(changes, SHOWN_AFTER_A_LOAD)

    return show


def show_as_of(connection: Connection, day: str, form: Form) -> Show:
    """Return what prints both screens as at the end of a day; raises StageError (66) before the first load."""
    both = screens(connection, vintage_at(History(connection), day))
    if form is Form.CSV:
        return lambda: print_csv(both["Countries_over_100_billion_USD"])
    return lambda: print_json(both) if form is Form.JSON else show_screens(both)


def vintage_at(history: History, day: str | None) -> Vintage:
    """Return the newest vintage with IMF figures, or the newest at the end of a day; raises StageError (66)."""
    vintage = history.newest_imf(day + END_OF_DAY if day else CURRENT)
    if vintage is None:
        first = next((v.as_of[:10] for v in history.vintages.of("IMF")), "none")
        when = f"of {day} or before are loaded; the first are of {first}" if day else "are loaded; run etl_process.py"
        raise StageError(Exit.NO_INPUT, f"no IMF figures {when}")
    return vintage


def screens(connection: Connection, vintage: Vintage | None) -> Row:
    """Return both screens as one object, from Countries_by_GDP as it is as of a vintage."""
    countries = rows_of(connection, LARGE_ECONOMIES, **of_vintage(vintage))
    means = rows_of(connection, REGION_MEANS, top=TOP, **of_vintage(vintage))
    changes = last_refresh(connection, History(connection), vintage)
    attribution = str(attribution_of(connection, vintage, countries)) if vintage else "nothing is loaded"
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
    large, since = both["Countries_over_100_billion_USD"], both["Changed_since"]
    columns = ["Rank", "Country", "Region", "Year", "GDP_USD_billion", "Share", *["Revised", "Moved"] * bool(since)]
    compared_with = f"; revised since {since[:10]}" if since else ""
    below = [f"Share: of the GDP of all {both['Countries_and_territories']} countries and territories together"]
    below += [FLAGGED_MEANS] * any(map(_has_flagged, large))
    show_table(
        Screen(
            f"Countries and territories with a GDP of {THRESHOLD_BILLION_USD} billion USD or more: {len(large)}\n"
            f"{both['Attribution']}{compared_with}",
            columns,
            [_large_economy(row)[: len(columns)] for row in large],
            frozenset(columns) - {"Country", "Region"},
            spare=("Share", "Moved", "Region", "Year", "Revised"),
            below="\n".join(below),
        )
    )
    _show_region_means(both["Region_top_5_mean"], both["Attribution"])


def _show_region_means(regions: list[Row], attribution: str) -> None:
    show_table(
        Screen(
            f"Mean GDP of each region's {TOP} largest economies: {len(regions)} regions\n{attribution}",
            ["Region", "Mean_GDP_USD_billion", "Countries"],
            [[r["Region"], with_commas(r["Mean_GDP_USD_billion"]), str(r["Countries"])] for r in regions],
            frozenset({"Mean_GDP_USD_billion", "Countries"}),
            spare=("Countries",),
        )
    )


def _has_flagged(row: Row) -> bool:
    return is_flagged_by_check(row["Flags"]) or is_flagged_by_check(row.get("Was_Flags"))


def _large_economy(row: Row) -> list[str]:
    rank, was = row["Rank"], row["Was_rank"]
    moved = "" if was in (None, rank) else f"{ROSE if was > rank else FELL}{abs(was - rank)}"
    cells = marked(row["GDP_USD_billion"], row["Flags"]), share(row["Share_percent"])
    return [str(rank), row["Country"], row["Region"] or "?", str(row["Year"]), *cells, _revision(row), moved]


def _revision(row: Row) -> str:
    """Return a revision in percent, or why there is none; the mark is alone if all figures before are flagged."""
    mark = FLAGGED * is_flagged_by_check(row["Was_Flags"])
    if row["Revised_percent"] is None:
        return row["Change"] if row["Change"] in (OTHER_YEAR, NEW) else mark
    return mark + revision_words(row["Revised_percent"])


def marked(billion_usd: float, flags: str | None) -> str:
    """Return a figure for a table, with a mark where a check flagged it."""
    return FLAGGED * is_flagged_by_check(flags) + with_commas(billion_usd)


def share(of_all_percent: float) -> str:
    """Return a share of all in percent."""
    return "<0.01 %" if 0 < of_all_percent < SMALLEST_SHARE_PERCENT else percent(of_all_percent, ".2f")


# --- what changed, and what the checks found --------------------------------------------------------------------------


def show_changes(connection: Connection, since: str | None, form: Form) -> Show:
    """Return what prints what the last refresh changed, or what changed since a day; raises StageError (66)."""
    history = History(connection)
    newest = vintage_at(history, None)
    before = earlier(history, newest, since)
    changes = changes_between(connection, history, before, newest)
    last = history.last_change(newest)[:10]

    def show() -> None:
        if form is Form.JSON:
            print_json(as_object(changes))
        elif form is Form.CSV:
            print_csv(changes.rows)
        else:
            print(summary(changes))
            if before and changes.rows:
                show_change_table(changes, len(changes.rows))
            elif before and not since:
                print(f"the last change was as of {last}; --since DATE compares with an earlier day")

    return show


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
            [
                row["Country"], row["Change"], _for_year(row["Was_USD_billion"], row["Was_Flags"], row["Was_for_year"]),
                _for_year(row["GDP_USD_billion"], row["Flags"], row["Year"]),
                "" if row["Revised_percent"] is None else revision_words(row["Revised_percent"]), _ranks(row),
            ]
            for row in shown
        ],
        frozenset({"Was", "GDP_USD_billion", "Revised", "Rank"}),
        spare=("Rank", "Change", "Was"),
        below=FLAGGED_MEANS if any(map(_has_flagged, shown)) else "",
    ))  # fmt: skip


def _for_year(billion_usd: float | None, flags: str | None, year: int | None) -> str:
    return "" if billion_usd is None else f"{marked(billion_usd, flags)} ({year})"


def _ranks(row: Row) -> str:
    if row["Rank"] is None or row["Was_rank"] is None or row["Rank"] == row["Was_rank"]:
        return str(row["Rank"] or row["Was_rank"])
    return f"{row['Was_rank']} → {row['Rank']}"


def show_findings(connection: Connection, form: Form) -> Show:
    """Return what prints the findings on the newest vintage with IMF figures, and the figures that are flagged.

    The most unusual figures come first.
    """
    vintage = vintage_at(History(connection), None)
    found = connection.execute(
        "SELECT Findings FROM Loads WHERE Publisher = :publisher AND As_of = :as_of"
        f" ORDER BY {connection.dialect.order_of_loads} DESC LIMIT 1",
        {"publisher": vintage.publisher, "as_of": vintage.as_of},
    ).fetchone()
    findings = json.loads(found[0] or "[]") if found else []
    flagged = rows_of(
        connection,
        "SELECT Institution, Country, ISO3, Year, GDP_USD_billion, Flags, Note FROM GDP_Estimates"
        " WHERE Publisher = :publisher AND Until = :current AND Flags IS NOT NULL"
        " ORDER BY Institution, GDP_USD_billion DESC",
        publisher=vintage.publisher,
        current=CURRENT,
    )
    ranks = _unusual(findings)
    flagged = [row for row in flagged if is_flagged_by_check(row["Flags"])]
    flagged.sort(key=lambda row: -ranks.get((row["Institution"], row["Country"], row["Year"]), 0.0))
    if form is Form.JSON:
        return lambda: print_json({"As_of": vintage.as_of, "Findings": findings, "Flagged": flagged})
    return lambda: print_csv(flagged) if form is Form.CSV else _show_findings(vintage, findings, flagged)


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
        [[one["severity"], one["check"], one["institution"], one["seen"], one["expected"]] for one in findings],
        frozenset(),
        spare=("Institution", "Expected"),
    ))  # fmt: skip
    show_table(Screen(
        f"Flagged figures: {len(flagged)}",
        ["Institution", "Country", "Year", "GDP_USD_billion", "Flags", "Note"],
        [
            [
                row["Institution"], row["Country"], str(row["Year"]), with_commas(row["GDP_USD_billion"]), row["Flags"],
                row["Note"] or "",
            ]
            for row in flagged
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
    answer = {
        "Page_as_of": page.as_of,
        "IMF_as_of": [release.day for release in releases[:2]],
        AGREES: kinds.pop(AGREES, 0),
        **kinds,
        "not published by the IMF": len(rows) - len(comparison.found),
    }
    departures = [_departure(one) for one in comparison.departures]
    if form is Form.JSON:
        return lambda: print_json({**answer, "Departures": departures})
    return lambda: print_csv(departures) if form is Form.CSV else _show_departures(answer, departures)


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


def _show_departures(answer: Row, departures: list[Row]) -> None:
    counts = [f"{number} {kind}" for kind, number in answer.items() if isinstance(number, int)]
    releases = " and ".join(answer["IMF_as_of"])
    print(
        f"The page of {answer['Page_as_of'][:10]} compared with the IMF's releases of {releases}: {', '.join(counts)}"
    )
    if not departures:
        return
    show_table(Screen(
        f"Figures that equal neither release: {len(departures)}",
        ["Country", "Year", "Page", "IMF", "Departure", "Kind", "Reason"],
        [
            [
                row["Country"], str(row["Year"]), with_commas(row["Page_USD_billion"]),
                with_commas(row["IMF_USD_billion"]), percent(row["Departure_percent"]), row["Kind"], row["Reason"],
            ]
            for row in departures
        ],
        frozenset({"Year", "Page", "IMF", "Departure"}),
        spare=("Kind", "Reason", "Year"),
    ))  # fmt: skip
