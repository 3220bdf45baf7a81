"""Answers about countries for a terminal: every estimate of some, and how much one country's were revised."""

from __future__ import annotations

from collections.abc import Sequence

from gdp.model import CURRENT, is_flagged_by_check
from gdp.report.attribution import kind_of
from gdp.report.revisions import Row, revised_percent, revision_words
from gdp.report.tables import FLAGGED, Form, Show, marked, print_csv, print_json
from gdp.runtime.terminal import Screen, show_table
from gdp.store.database import Connection, rows_of
from utils import Exit, StageError, percent

ONE_COUNTRY = """
    SELECT Country, ISO3, Institution, Publisher, Year, As_of, Until, GDP_USD_billion, GDP_USD_million, Note, Flags,
           Status
    FROM GDP_Estimates WHERE coalesce(ISO3, Country) = :country ORDER BY Institution, Publisher, Year, As_of
"""


def show_countries(connection: Connection, names: Sequence[str], form: Form) -> Show:
    """Return what prints every estimate of some countries; raises StageError: 2 unknown country, 66 no figure."""
    titles = dict(country_named(connection, name) for name in names)
    estimates = {code: _estimates(connection, code, title) for code, title in titles.items()}

    def show() -> None:
        if form is Form.CSV:
            print_csv([row for rows in estimates.values() for row in rows])
        elif form is Form.JSON:
            objects = [{"Country": titles[code], "Estimates": rows} for code, rows in estimates.items()]
            print_json(objects[0] if len(objects) == 1 else objects)
        else:
            for code, rows in estimates.items():
                _show_estimates(titles[code], rows)

    return show


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
            [
                row["Institution"], str(row["Year"]), row["Kind"], row["As_of"][:10], (row["Until"] or "now")[:10],
                marked(row["GDP_USD_billion"], row["Flags"]),
                "" if row["Revised_percent"] is None else revision_words(row["Revised_percent"]),
                row["Publisher"], row["Note"] or "",
            ]
            for row in rows
        ],
        frozenset({"Year", "As_of", "Until", "GDP_USD_billion", "Revised"}),
        spare=("Publisher", "Kind", "Note", "Revised", "Until"),
        below=f"{FLAGGED} flagged by a check" if any(is_flagged_by_check(row["Flags"]) for row in rows) else "",
    ))  # fmt: skip


def show_revision_statistics(connection: Connection, name: str, form: Form) -> Show:
    """Return what prints how much a country's figures were revised; raises StageError: 2 unknown country, 66 none."""
    from gdp.report.triangle import revision_statistics

    code, title = country_named(connection, name)
    rows = revision_statistics(connection, code)
    if not rows:
        raise StageError(Exit.NO_INPUT, f"no figure of {title} was published twice; load more vintages first")
    if form is Form.JSON:
        return lambda: print_json({"Country": title, "Revisions": rows})
    return lambda: print_csv(rows) if form is Form.CSV else _show_revision_statistics(title, rows)


def _show_revision_statistics(title: str, rows: list[Row]) -> None:
    for publisher, institution in dict.fromkeys((row["Publisher"], row["Institution"]) for row in rows):
        of_series = [row for row in rows if (row["Publisher"], row["Institution"]) == (publisher, institution)]
        show_table(
            Screen(
                f"{title}, {institution}, {publisher}: revisions by distance between releases, in percent",
                ["Releases apart", "Months", "Figures", "Mean", "Mean absolute"],
                [
                    [
                        str(row["Releases_apart"]), str(row["Months_apart"]), str(row["Figures"]),
                        percent(row["Mean_revision_percent"]), percent(row["Mean_absolute_revision_percent"], ".2f"),
                    ]
                    for row in of_series
                ],
                frozenset({"Releases apart", "Months", "Figures", "Mean", "Mean absolute"}),
            )
        )  # fmt: skip


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
    near = ", ".join(reference().nearest(name)) or "none near"
    raise StageError(Exit.USAGE, f"no country is called {name!r}; known: {near}; or give its code, such as KOR")
