"""Which figure is a country's headline: one SELECT, for Countries_by_GDP, GDP_Latest and every question.

A headline is the figure of a known country under a sourced column, for the year of As_of, else the nearest year before
it, else the nearest after. gdp.validate.observations.headlines_of does the same for figures that are not loaded yet; a
test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gdp.model import CURRENT, HEADLINE_FIELDS, INSTITUTIONS
from gdp.store.database import Connection
from gdp.store.dialect import Relation
from gdp.store.schema import MAY_BE_HEADLINE
from gdp.store.vintages import Vintage

_INSTITUTIONS = " UNION ALL ".join(f"SELECT '{name}' AS Institution" for name in INSTITUTIONS)
_YEAR_OF_AS_OF = "CAST(substr(vintage.As_of, 1, 4) AS INTEGER)"

# Of each publisher and institution, the newest vintage before a moment that has a headline: the last one before the end
# of the figure that was current longest, as each vintage until then had one.
_NEWEST = """
    WITH loaded AS MATERIALIZED (
        SELECT Publisher, Institution, As_of, Source
        FROM (SELECT *, row_number() OVER (PARTITION BY Publisher, As_of ORDER BY {order_of_loads} DESC) AS again
              FROM Loads) AS every_load
        JOIN ({institutions}) AS known ON ', ' || Institutions || ', ' LIKE '%, ' || Institution || ', %'
        WHERE again = 1 AND As_of < {before}),
    lasting AS MATERIALIZED (
        SELECT Publisher, Institution,
               (SELECT Until FROM GDP_Estimates WHERE Publisher = series.Publisher AND As_of < {before}
                AND Institution = series.Institution AND {may_be_headline} ORDER BY Until DESC LIMIT 1) AS Until
        FROM (SELECT DISTINCT Publisher, Institution FROM loaded) AS series),
    numbered AS (
        SELECT loaded.*,
               row_number() OVER (PARTITION BY loaded.Publisher, loaded.Institution ORDER BY As_of DESC) AS place
        FROM loaded JOIN lasting ON lasting.Publisher = loaded.Publisher AND lasting.Institution = loaded.Institution
        WHERE loaded.As_of < lasting.Until)
    SELECT Publisher, Institution, As_of, Source FROM numbered WHERE place = 1
"""
_LASTING = """
    SELECT Publisher, (SELECT Until FROM GDP_Estimates WHERE Publisher = series.Publisher AND As_of < :before
                       AND Institution = :institution AND {may_be_headline} ORDER BY Until DESC LIMIT 1)
    FROM ({publishers}) AS series
"""
_OF_ONE_VINTAGE = """
    SELECT CAST(:publisher AS TEXT) AS Publisher, 'IMF' AS Institution, CAST(:as_of AS TEXT) AS As_of,
           CAST(:source AS TEXT) AS Source
"""
_CHOSEN = """
    SELECT {columns} FROM (
          SELECT {own}, vintage.As_of, vintage.Source, row_number() OVER (
                     PARTITION BY estimate.Publisher, estimate.Institution, estimate.Country
                     ORDER BY estimate.Year > {now}, abs(estimate.Year - {now})) AS place
          FROM ({vintages}) AS vintage JOIN GDP_Estimates AS estimate
            ON estimate.Publisher = vintage.Publisher AND estimate.Institution = vintage.Institution
           AND estimate.As_of <= vintage.As_of AND estimate.Until > vintage.As_of
          WHERE {may_be_headline}) AS ranked
    WHERE place = 1
"""

_COLUMNS = (
    "Publisher, Institution, Country, ISO3, Region, Subregion, Year, GDP_USD_billion, As_of, Source, Note, Status,"
    " Flags, GDP_USD_million"
)
_OWN = ", ".join(f"estimate.{name}" for name in _COLUMNS.split(", ") if name not in ("As_of", "Source"))

# The IMF's headlines of one vintage, for `WITH Headlines AS (…)`; `of_vintage` has its values.
HEADLINES = _CHOSEN.format(
    now=_YEAR_OF_AS_OF, vintages=_OF_ONE_VINTAGE, may_be_headline=MAY_BE_HEADLINE, columns=_COLUMNS, own=_OWN
)
HEADLINE_COLUMNS = ", ".join(HEADLINE_FIELDS)
IN_ORDER = "ORDER BY GDP_USD_billion DESC, Country"


def of_vintage(vintage: Vintage | None) -> dict[str, str]:
    """Return the values of HEADLINES' parameters; of no vintage there are no headlines."""
    if vintage is None:
        return {"publisher": "", "as_of": "", "source": ""}
    return {"publisher": vintage.publisher, "as_of": vintage.as_of, "source": vintage.source}


def headline_ends(connection: Connection, institution: str, publishers: Iterable[str], before: str) -> dict[str, str]:
    """Return by publisher until when an institution's last headline from before a moment was current."""
    names = " UNION ALL ".join(f"SELECT '{name}' AS Publisher" for name in publishers)
    question = _LASTING.format(publishers=names, may_be_headline=MAY_BE_HEADLINE)
    rows = connection.execute(question, {"before": before, "institution": institution}) if names else ()
    return {publisher: until for publisher, until in rows if until}


def put_latest_view(connection: Connection, there: Mapping[str, Relation]) -> None:
    """Create the view GDP_Latest: the headlines of the newest vintage of every institution and publisher.

    `there` is what create_tables returns.
    """
    chosen = _CHOSEN.format(
        now=_YEAR_OF_AS_OF, vintages=_newest(connection, f"'{CURRENT}'"), may_be_headline=MAY_BE_HEADLINE,
        columns=_COLUMNS, own=_OWN,
    )  # fmt: skip
    connection.put_view("GDP_Latest", chosen, there.get("GDP_Latest"))
    connection.put_view("GDP_Current", "SELECT * FROM GDP_Latest", there.get("GDP_Current"))  # its name before 1.0


def replace_countries(connection: Connection, vintage: Vintage) -> None:
    """Make the headlines of a vintage the rows of Countries_by_GDP, highest first; the table stays the same object."""
    connection.execute("DELETE FROM Countries_by_GDP")
    connection.execute(
        f"INSERT INTO Countries_by_GDP ({HEADLINE_COLUMNS}) WITH Headlines AS ({HEADLINES})"
        f" SELECT {HEADLINE_COLUMNS} FROM Headlines {IN_ORDER}",
        of_vintage(vintage),
    )


def _newest(connection: Connection, before: str) -> str:
    return _NEWEST.format(
        before=before,
        order_of_loads=connection.dialect.order_of_loads,
        institutions=_INSTITUTIONS,
        may_be_headline=MAY_BE_HEADLINE,
    )
