"""The past, as the page's script takes it: every estimate by country, series and year, in few letters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gdp.records import INSTITUTIONS, PAGE, WORLD_BANK_ITSELF
from gdp.report.svg import institution_colour
from gdp.store.database import Connection, rows_of
from gdp.store.schema import STANDS
from gdp.transform.countries import reference

Row = dict[str, Any]
Said = list[float | int | None]

MOST_ESTIMATES = 80_000  # about 900 kB; the newest are kept
MOST_NOTE_CHARACTERS = 200_000  # of all Notes together; beyond them a figure is marked and the database says why
UNTOLD_NOTE = "has a Note, which the database tells"
ESTIMATES = """
    SELECT coalesce(ISO3, Country) AS Code, Country, Institution, Publisher, Year, As_of, Until, GDP_USD_billion, Note
    FROM GDP_Estimates ORDER BY Until DESC, As_of DESC, Institution, Country, Year LIMIT :most
"""


def past(connection: Connection) -> Row:
    """Return the newest estimates: days, series, Notes, and by code each country with its names and what was said.

    What was said of a year by a series is a flat list: the place of a day, the figure in billions of USD that was said
    from then on, or null where nothing was said any more, and so on. A negative number after a figure is -1 less the
    place of its Note.
    """
    rows = rows_of(connection, ESTIMATES, most=MOST_ESTIMATES)
    rows.sort(key=lambda row: (row["As_of"], row["Code"], row["Year"], row["Publisher"], row["Institution"]))
    days = sorted({row["As_of"] for row in rows} | {row["Until"] for row in rows} - {STANDS})
    order = sorted({(INSTITUTIONS.index(row["Institution"]), row["Publisher"]) for row in rows})
    series = [_series(INSTITUTIONS[number], publisher) for number, publisher in order]
    notes = _Notes()
    return {
        "days": days,
        "series": series,
        "countries": _countries(rows, {day: place for place, day in enumerate(days)}, series, notes),
        "notes": list(notes.places),
    }


class _Notes:
    """The Notes of the page, each once."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self._characters = 0

    def place_of(self, note: str) -> int:
        if note not in self.places and self._characters + len(note) > MOST_NOTE_CHARACTERS:
            note = UNTOLD_NOTE
        if note not in self.places:
            self._characters += len(note)
        return self.places.setdefault(note, len(self.places))


def _countries(rows: Iterable[Row], at: dict[str, int], series: list[Row], notes: _Notes) -> dict[str, Row]:
    numbers = {(one["institution"], one["publisher"]): number for number, one in enumerate(series)}
    names: dict[str, list[str]] = {}
    for name, known in reference().countries.items():
        names.setdefault(known.iso3, []).append(name)
    countries: dict[str, Row] = {}
    for row in rows:
        country = countries.setdefault(row["Code"], {"names": names.get(row["Code"], []), "said": {}})
        country["name"] = row["Country"]  # the newest
        by_year = country["said"].setdefault(numbers[row["Institution"], row["Publisher"]], {})
        _add(by_year.setdefault(row["Year"], []), row, at, notes)
    return countries


def _add(said: Said, row: Row, at: dict[str, int], notes: _Notes) -> None:
    if said and said[-1] is None and said[-2] == at[row["As_of"]]:
        del said[-2:]  # it was said until this one
    said += [at[row["As_of"]], row["GDP_USD_billion"]]
    if row["Note"]:
        said.append(-1 - notes.place_of(row["Note"]))
    if row["Until"] != STANDS:
        said += [at[row["Until"]], None]


def _series(institution: str, publisher: str) -> Row:
    """Return a series: whose figures these are, by what they are called in an address and in the page, and a colour."""
    if publisher == PAGE:
        name = f"{institution} (Wikipedia)"
    else:
        name = f"{institution} ({'its API' if publisher == WORLD_BANK_ITSELF else 'DataMapper'})"
    said_by = {"institution": institution, "publisher": publisher, "colour": institution_colour(institution)}
    return {"key": f"{institution.replace(' ', '-')}.{publisher}".lower(), "name": name, **said_by}
