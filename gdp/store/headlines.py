"""Which figure stands for a country: one SELECT says so, for Countries_by_GDP, GDP_Current and every question.

A country's headline is its figure under a column that has a source, for the year of As_of, else the nearest year before
it, else the nearest after. gdp.validate.observations.headlines_of does the same for figures that are not loaded yet; a
test compares the two.
"""

from __future__ import annotations

from gdp.records import INSTITUTIONS, UNSOURCED_NOTES
from gdp.store.database import Connection
from gdp.store.schema import STANDS
from gdp.store.vintages import Vintage

_INSTITUTIONS = " UNION ALL ".join(f"SELECT '{name}' AS Institution" for name in INSTITUTIONS)
_HAS_A_SOURCE = " AND ".join(f"('; ' || coalesce(Note, '')) NOT LIKE '%; {note}%'" for note in UNSOURCED_NOTES)
_YEAR_OF_AS_OF = "CAST(substr(vintage.As_of, 1, 4) AS INTEGER)"

# Of each publisher and institution the newest vintage from before a moment that has a figure with a source. What stood
# longest tells it: until then, each vintage had one.
_NEWEST = """
    WITH loaded AS MATERIALIZED (
        SELECT Publisher, Institution, As_of, Source
        FROM (SELECT *, row_number() OVER (PARTITION BY Publisher, As_of ORDER BY {order_of_loads} DESC) AS again
              FROM Loads) AS every_load
        JOIN ({institutions}) AS known ON ', ' || Institutions || ', ' LIKE '%, ' || Institution || ', %'
        WHERE again = 1 AND As_of < {before}),
    stood AS MATERIALIZED (
        SELECT Publisher, Institution,
               (SELECT Until FROM GDP_Estimates WHERE Publisher = spoken.Publisher AND As_of < {before}
                AND Institution = spoken.Institution AND {has_a_source} ORDER BY Until DESC LIMIT 1) AS Until
        FROM (SELECT DISTINCT Publisher, Institution FROM loaded) AS spoken),
    numbered AS (
        SELECT loaded.*,
               row_number() OVER (PARTITION BY loaded.Publisher, loaded.Institution ORDER BY As_of DESC) AS place
        FROM loaded JOIN stood ON stood.Publisher = loaded.Publisher AND stood.Institution = loaded.Institution
        WHERE loaded.As_of < stood.Until)
    SELECT Publisher, Institution, As_of, Source FROM numbered WHERE place = 1
"""
_OF_ONE_VINTAGE = """
    SELECT CAST(:publisher AS TEXT) AS Publisher, 'IMF' AS Institution, CAST(:as_of AS TEXT) AS As_of,
           CAST(:source AS TEXT) AS Source
"""
_CHOSEN = """
    SELECT Publisher, Institution, Country, ISO3, Region, Subregion, Year, GDP_USD_billion, As_of, Source, Note
    FROM (SELECT said.Publisher, said.Institution, said.Country, said.ISO3, said.Region, said.Subregion, said.Year,
                 said.GDP_USD_billion, vintage.As_of, vintage.Source, said.Note,
                 row_number() OVER (PARTITION BY said.Publisher, said.Institution, said.Country
                                    ORDER BY said.Year > {now}, abs(said.Year - {now})) AS place
          FROM ({vintages}) AS vintage JOIN GDP_Estimates AS said
            ON said.Publisher = vintage.Publisher AND said.Institution = vintage.Institution
           AND said.As_of <= vintage.As_of AND said.Until > vintage.As_of
          WHERE {has_a_source}) AS ranked
    WHERE place = 1
"""

# The IMF's headlines of one vintage, for `WITH Headlines AS (…)`; `of_vintage` has its values.
HEADLINES = _CHOSEN.format(now=_YEAR_OF_AS_OF, vintages=_OF_ONE_VINTAGE, has_a_source=_HAS_A_SOURCE)
COUNTRIES = "Country, ISO3, Region, Year, GDP_USD_billion, As_of, Source, Note"
IN_ORDER = "ORDER BY GDP_USD_billion DESC, Country"


def of_vintage(vintage: Vintage | None) -> dict[str, str]:
    """Return the values of HEADLINES' parameters; of no vintage there are no headlines."""
    if vintage is None:
        return {"publisher": "", "as_of": "", "source": ""}
    return {"publisher": vintage.publisher, "as_of": vintage.as_of, "source": vintage.source}


def newest_vintages(connection: Connection, institution: str, before: str = STANDS) -> list[tuple[str, str]]:
    """Return of each publisher the newest vintage from before a moment that has headlines of an institution.

    Each is the publisher and the As_of, the newest last.
    """
    newest = _newest(connection, ":before")
    question = f"SELECT Publisher, As_of FROM ({newest}) AS newest WHERE Institution = :institution"
    rows = connection.execute(question, {"before": before, "institution": institution})
    return sorted(((publisher, as_of) for publisher, as_of in rows), key=lambda one: (one[1], one[0]))


def put_current_view(connection: Connection) -> None:
    """Create the view GDP_Current: the headlines of the newest vintage of every institution and publisher."""
    newest = _newest(connection, f"'{STANDS}'")
    connection.put_view("GDP_Current", _CHOSEN.format(now=_YEAR_OF_AS_OF, vintages=newest, has_a_source=_HAS_A_SOURCE))


def replace_countries(connection: Connection, vintage: Vintage) -> None:
    """Make the headlines of a vintage the rows of Countries_by_GDP, highest first; the table stays the same object."""
    connection.execute("DELETE FROM Countries_by_GDP")
    connection.execute(
        f"INSERT INTO Countries_by_GDP ({COUNTRIES}) WITH Headlines AS ({HEADLINES})"
        f" SELECT {COUNTRIES} FROM Headlines {IN_ORDER}",
        of_vintage(vintage),
    )


def _newest(connection: Connection, before: str) -> str:
    return _NEWEST.format(
        before=before,
        order_of_loads=connection.dialect.order_of_loads,
        institutions=_INSTITUTIONS,
        has_a_source=_HAS_A_SOURCE,
    )
