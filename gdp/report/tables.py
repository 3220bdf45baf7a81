"""What the database is asked: the two screens now and then, what changed, one country's past, the page against the IMF.

Every answer is a table for people or, with --json, one JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from gdp.records import PAGE
from gdp.report.revisions import (
    NEW,
    NEW_YEAR,
    Changes,
    Row,
    as_object,
    changed,
    earlier,
    last_refresh,
    ranking,
    summary,
    tell_of_rows,
)
from gdp.runtime.terminal import Screen, show_table
from gdp.store.database import Connection, rows_of
from gdp.store.headlines import HEADLINES, of_vintage
from gdp.store.history import History, figures
from gdp.store.schema import STANDS
from gdp.store.vintages import END_OF_DAY, Vintage
from gdp.validate.against_imf import AGREES, STALE, UNEXPLAINED, Compared, compared
from utils import Exit, StageError, percent, with_commas

THRESHOLD_BILLION_USD = 100
TOP = 5
LEAST_SHARE_PERCENT = 0.005  # of less, two decimals would say nothing
ROSE, FELL = "↑", "↓"  # by so many ranks
NOTED = "*"  # before a figure, so that decimals stand under one another
WHAT_NOTED_SAYS = f"{NOTED} has a Note: why it deserves doubt is told by load.py --country, and by --json"
SHOWN_AFTER_A_LOAD = 10  # the largest changes; --changes has them all

LARGE_ECONOMIES = f"""
    WITH Headlines AS ({HEADLINES}),
    every AS (SELECT rank() OVER (ORDER BY GDP_USD_billion DESC) AS Rank, Country, ISO3, Region, Year, GDP_USD_billion,
                     coalesce(100 * GDP_USD_billion / nullif(sum(GDP_USD_billion) OVER (), 0), 0) AS Share_percent, Note
              FROM Headlines)
    SELECT * FROM every WHERE GDP_USD_billion >= :threshold ORDER BY Rank, Country
"""
# Hundredths are added up as integers, so that the mean is rounded halves up, exactly.
REGION_MEANS = f"""
    WITH Headlines AS ({HEADLINES}),
    ranked AS (SELECT Region, CAST(round(GDP_USD_billion * 100) AS INTEGER) AS cents,
                      row_number() OVER (PARTITION BY Region ORDER BY GDP_USD_billion DESC, Country) AS place
               FROM Headlines WHERE Region IS NOT NULL)
    SELECT Region, CAST((2 * sum(cents) + count(*)) / (2 * count(*)) AS DOUBLE PRECISION) / 100 AS Mean_GDP_USD_billion,
           count(*) AS Countries
    FROM ranked WHERE place <= :top GROUP BY Region ORDER BY Mean_GDP_USD_billion DESC, Region
"""
ONE_COUNTRY = """
    SELECT Institution, Publisher, Year, As_of, Until, GDP_USD_billion, Note FROM GDP_Estimates
    WHERE coalesce(ISO3, Country) = :country ORDER BY Institution, Publisher, Year, As_of
"""

Tell = Callable[[], None]  # prints an answer, once the database is closed


# --- the two screens --------------------------------------------------------------------------------------------------


def show_load(connection: Connection, changes: Changes, as_json: bool, tables: bool, changes_too: bool) -> Tell:
    """Return what prints both screens, if `tables`, and what a load changed, if `changes_too`; or all of it as JSON."""
    both = screens(connection, History(connection).newest_imf())

    def tell() -> None:
        if as_json:
            print(json.dumps({**both, "Changes": as_object(changes)}, indent=2))
            return
        if tables:
            show_screens(both)
        if changes_too and changes.rows and changes.since:
            show_change_table(changes, SHOWN_AFTER_A_LOAD)

    return tell


def show_as_of(connection: Connection, day: str, as_json: bool) -> Tell:
    """Return what prints both screens as at the end of a day; raises StageError (66) before the first load."""
    history = History(connection)
    vintage = vintage_at(history, day)
    both = screens(connection, vintage)
    return lambda: print(json.dumps(both, indent=2)) if as_json else show_screens(both)


def vintage_at(history: History, day: str | None) -> Vintage:
    """Return the newest vintage with IMF figures, or the newest at the end of a day; raises StageError (66)."""
    vintage = history.newest_imf(day + END_OF_DAY if day else STANDS)
    if vintage is None:
        first = next((v.as_of[:10] for v in history.vintages.of("IMF")), "none")
        when = f"of {day} or before are loaded; the first are of {first}" if day else "are loaded; run etl_process.py"
        raise StageError(Exit.NO_INPUT, f"no IMF figures {when}")
    return vintage


def screens(connection: Connection, vintage: Vintage | None) -> Row:
    """Return both screens as one object, from Countries_by_GDP as it is as of a vintage."""
    large = rows_of(connection, LARGE_ECONOMIES, threshold=THRESHOLD_BILLION_USD, **of_vintage(vintage))
    means = rows_of(connection, REGION_MEANS, top=TOP, **of_vintage(vintage))
    changes = last_refresh(History(connection), vintage)
    tell_of_rows(large, changes)
    for row in large:
        row["Share_percent"] = round(row["Share_percent"], 2)
    return {
        "Institution": "IMF",
        "As_of": vintage and vintage.as_of,
        "Source": vintage and vintage.source,
        "Changed_since": changes.since,
        "Countries_over_100_billion_USD": large,
        "Region_top_5_mean": means,
    }


def show_screens(both: Row) -> None:
    """Print the two tables."""
    large, regions = both["Countries_over_100_billion_USD"], both["Region_top_5_mean"]
    day, since = (both["As_of"] or "never")[:10], both["Changed_since"]
    columns = ["Rank", "Country", "Region", "Year", "GDP_USD_billion", "Share", *["Revised", "Moved"] * bool(since)]
    compared_with = f"; revised since {since[:10]}" if since else ""
    show_table(
        Screen(
            f"Countries with a GDP of {THRESHOLD_BILLION_USD} billion USD or more (IMF, as of {day}): {len(large)}"
            f"{compared_with}",
            columns,
            [_large_economy(row)[: len(columns)] for row in large],
            frozenset(columns) - {"Country", "Region"},
            spare=("Share", "Moved", "Region", "Year", "Revised"),
            below=WHAT_NOTED_SAYS if any(row["Note"] or row["Was_Note"] for row in large) else "",
        )
    )
    show_table(
        Screen(
            f"Mean GDP of each region's {TOP} largest economies (IMF, as of {day}): {len(regions)} regions",
            ["Region", "Mean_GDP_USD_billion", "Countries"],
            [[r["Region"], with_commas(r["Mean_GDP_USD_billion"]), str(r["Countries"])] for r in regions],
            frozenset({"Mean_GDP_USD_billion", "Countries"}),
            spare=("Countries",),
        )
    )


def _large_economy(row: Row) -> list[str]:
    rank, was = row["Rank"], row["Was_rank"]
    moved = "" if was in (None, rank) else f"{ROSE if was > rank else FELL}{abs(was - rank)}"
    figures = marked(row["GDP_USD_billion"], row["Note"]), share(row["Share_percent"])
    return [str(rank), row["Country"], row["Region"] or "?", str(row["Year"]), *figures, _revision(row), moved]


def _revision(row: Row) -> str:
    """Return a revision in percent, marked where the figure before has a Note, or that there is none to compare."""
    if row["Revised_percent"] is None:
        return row["Change"] if row["Change"] in (NEW_YEAR, NEW) else ""
    return NOTED * bool(row["Was_Note"]) + percent(row["Revised_percent"])


def marked(billion_usd: float, note: str | None) -> str:
    """Return a figure for a table, with a mark where it has a Note."""
    return NOTED * bool(note) + with_commas(billion_usd)


def share(of_all_percent: float) -> str:
    """Return a share of all in percent."""
    return "<0.01 %" if 0 < of_all_percent < LEAST_SHARE_PERCENT else percent(of_all_percent, ".2f")


# --- what changed -----------------------------------------------------------------------------------------------------


def show_changes(connection: Connection, since: str | None, as_json: bool) -> Tell:
    """Return what prints what the last refresh changed, or what changed since a day; raises StageError (66)."""
    history = History(connection)
    newest = history.newest_imf()
    if newest is None:
        raise StageError(Exit.NO_INPUT, "no IMF figures are loaded; run python etl_process.py first")
    before = earlier(history, newest, since)
    changes = changed(ranking(history, before), ranking(history, newest))
    last = history.last_change(newest)[:10]

    def tell() -> None:
        if as_json:
            print(json.dumps(as_object(changes), indent=2))
            return
        print(summary(changes))
        if before and changes.rows:
            show_change_table(changes, len(changes.rows))
        elif before and not since:
            print(f"the last change was as of {last}; ask with --since for what was before")

    return tell


def show_change_table(changes: Changes, most: int) -> None:
    """Print the changes, the largest first."""
    shown = [row for row in changes.rows if row["Change"] != "rank" or most == len(changes.rows)][:most]
    if not shown:
        return
    rest = f", the {len(shown)} largest of {len(changes.rows)}" if len(shown) < len(changes.rows) else ""
    show_table(Screen(
        f"What changed between {(changes.since or '')[:10]} and {(changes.until or '')[:10]}{rest}",
        ["Country", "Change", "Was", "GDP_USD_billion", "Revised", "Rank"],
        [
            [
                row["Country"], row["Change"], _of_year(row["Was_USD_billion"], row["Was_Note"], row["Was_for_year"]),
                _of_year(row["GDP_USD_billion"], row["Note"], row["Year"]),
                "" if row["Revised_percent"] is None else percent(row["Revised_percent"]), _ranks(row),
            ]
            for row in shown
        ],
        frozenset({"Was", "GDP_USD_billion", "Revised", "Rank"}),
        spare=("Rank", "Change", "Was"),
        below=WHAT_NOTED_SAYS if any(row["Note"] or row["Was_Note"] for row in shown) else "",
    ))  # fmt: skip


def _of_year(billion_usd: float | None, note: str | None, year: int | None) -> str:
    return "" if billion_usd is None else f"{marked(billion_usd, note)} ({year})"


def _ranks(row: Row) -> str:
    if row["Rank"] is None or row["Was_rank"] is None or row["Rank"] == row["Was_rank"]:
        return str(row["Rank"] or row["Was_rank"])
    return f"{row['Was_rank']} → {row['Rank']}"


# --- one country ------------------------------------------------------------------------------------------------------


def show_country(connection: Connection, name: str, as_json: bool) -> Tell:
    """Return what prints one country's estimates; raises StageError: 2 unknown country, 66 no figure of it."""
    code, title = _country(connection, name)
    rows = rows_of(connection, ONE_COUNTRY, country=code)
    if not rows:
        raise StageError(Exit.NO_INPUT, f"no figure of {title} is loaded; run python etl_process.py first")
    for row in rows:
        row["Until"] = None if row["Until"] == STANDS else row["Until"]
    if as_json:
        return lambda: print(json.dumps({"Country": title, "Estimates": rows}, indent=2))
    return lambda: _show_estimates(title, rows)


def _show_estimates(title: str, rows: list[Row]) -> None:
    show_table(Screen(
        f"{title}: every estimate, from its As_of until it was said no more",
        ["Institution", "Year", "As_of", "Until", "GDP_USD_billion", "Revised", "Said by", "Note"],
        [
            [
                row["Institution"], str(row["Year"]), row["As_of"][:10], (row["Until"] or "now")[:10],
                marked(row["GDP_USD_billion"], row["Note"]), _revised(before, row), row["Publisher"], row["Note"] or "",
            ]
            for before, row in zip([None, *rows], rows, strict=False)
        ],
        frozenset({"Year", "As_of", "Until", "GDP_USD_billion", "Revised"}),
        spare=("Said by", "Note", "Revised", "Until"),
        below=f"{NOTED} has a Note" if any(row["Note"] for row in rows) else "",
    ))  # fmt: skip


def _country(connection: Connection, name: str) -> tuple[str, str]:
    """Return the code and the name of a country, however it is called; a name that no table knows may be loaded."""
    from gdp.transform.countries import reference

    if any("\ud800" <= letter <= "\udfff" for letter in name):  # bytes that are no text, which no database takes
        raise StageError(Exit.USAGE, f"{name!r} is no name; give a country's name, or its code, such as KOR")
    if country := reference().find(name):
        return country.iso3, country.name
    if rows_of(connection, "SELECT 1 FROM GDP_Estimates WHERE Country = :name LIMIT 1", name=name):
        return name, name
    near = ", ".join(reference().nearest(name)) or "none near"
    raise StageError(Exit.USAGE, f"no country is called {name!r}; known: {near}; or give its code, such as KOR")


def _revised(before: Row | None, row: Row) -> str:
    series = ("Institution", "Publisher", "Year")
    if before is None or not before["GDP_USD_billion"] or any(before[name] != row[name] for name in series):
        return ""
    return percent((row["GDP_USD_billion"] / before["GDP_USD_billion"] - 1) * 100)


# --- the page against the IMF -----------------------------------------------------------------------------------------


def show_comparison(connection: Connection, day: str | None, as_json: bool) -> Tell:
    """Return what prints where the page's IMF column departs from the IMF's own figures.

    Raises StageError (66) without a page, or without a release of the IMF's from before it.
    """
    history = History(connection)
    page = history.newest_imf(day + END_OF_DAY if day else STANDS, PAGE)
    own = history.release_before(page.as_of) if page else None
    if page is None or own is None:
        lacking = "no page is" if page is None else f"no release of the IMF's from before {page.as_of[:10]} is"
        raise StageError(Exit.NO_INPUT, f"{lacking} loaded; run python etl_process.py --source wikipedia imf first")
    figures_of_page = figures(history.state(PAGE, "IMF", page.as_of))
    found = compared(figures_of_page, own)
    counts = {kind: sum(one.kind == kind for one in found) for kind in (AGREES, STALE, UNEXPLAINED)}
    counted = {
        "Page_as_of": page.as_of,
        "IMF_as_of": own.as_of,
        **counts,
        "not_there": len(figures_of_page) - len(found),
    }
    if as_json:
        rows = [_compared_row(one) for one in found if one.kind != AGREES]
        return lambda: print(json.dumps({**counted, "Departures": rows}, indent=2))
    return lambda: _show_compared(counted, found)


def _show_compared(counted: Row, found: list[Compared]) -> None:
    print(
        f"The page of {counted['Page_as_of'][:10]} against the IMF's release of {counted['IMF_as_of'][:7]}:"
        f" {counted[AGREES]} agree, {counted[STALE]} are stale, {counted[UNEXPLAINED]} are unexplained,"
        f" {counted['not_there']} the IMF has no figure for"
    )
    for kind in (UNEXPLAINED, STALE):
        _show_departures(kind, [one for one in found if one.kind == kind])


def _compared_row(one: Compared) -> Row:
    return {
        "Country": one.key[0],
        "Year": one.key[1],
        "Page_USD_billion": one.page,
        "IMF_USD_billion": one.own,
        "Departure_percent": round(one.departure * 100, 2),
        "Kind": one.kind,
        "Told": one.told,
    }


def _show_departures(kind: str, found: list[Compared]) -> None:
    if found:
        show_table(
            Screen(
                f"{kind.capitalize()}: {len(found)}",
                ["Country", "Year", "Page", "IMF", "Departure", "Told"],
                [
                    [
                        one.key[0],
                        str(one.key[1]),
                        with_commas(one.page),
                        with_commas(one.own),
                        percent(100 * one.departure),
                        one.told,
                    ]
                    for one in found
                ],
                frozenset({"Year", "Page", "IMF", "Departure"}),
                spare=("Told", "Year"),
            )
        )
