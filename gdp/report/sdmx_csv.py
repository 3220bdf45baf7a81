"""The current figures as SDMX-CSV, with the code lists of SDMX: OBS_STATUS, UNIT_MULT and DECIMALS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gdp.model import PROJECTION, Field, is_flagged_by_check
from gdp.report.attribution import kind_of

DATAFLOW = "COUNTRIES_BY_GDP:GDP(1.0)"
BILLIONS, DECIMALS = 9, 2  # the exponent of ten
FORECAST, LOW_RELIABILITY, NORMAL = "F", "U", "A"  # of CL_OBS_STATUS, one a figure, by its precedence: F, U, A


def _text(name: str, description: str) -> Field:
    return Field(name, str, False, description)


SDMX_FIELDS = {
    field.name: field
    for field in (
        _text("DATAFLOW", "The data set: agency, name and version"),
        _text("FREQ", "Frequency: A, annual"),
        _text("REF_AREA", "ISO 3166-1 alpha-3 code; XKX for Kosovo"),
        _text("INDICATOR", "NGDPD: GDP at current prices, in US dollars"),
        _text("INSTITUTION", "Whose figure it is"),
        _text("PUBLISHER", "Who published it"),
        Field("TIME_PERIOD", int, False, "The reference year"),
        Field("OBS_VALUE", float, False, "The figure", "billion USD"),
        _text("OBS_STATUS", "F forecast, U low reliability (flagged by a check), A normal: the first that is true"),
        _text("UNIT_MEASURE", "USD"),
        Field("UNIT_MULT", int, False, "The exponent of ten of the unit: 9, billions"),
        Field("DECIMALS", int, False, "Digits after the decimal point: 2"),
        _text("LAST_UPDATE", "When the source first published this figure: a day, or a moment in UTC"),
    )
}
QUESTION = """
    SELECT ISO3, Institution, Publisher, Year, GDP_USD_billion, As_of, Status, Flags FROM GDP_Estimates
    WHERE Until = :current AND ISO3 IS NOT NULL ORDER BY ISO3, Institution, Publisher, Year
"""
NAMES = ("ISO3", "Institution", "Publisher", "Year", "GDP_USD_billion", "As_of", "Status", "Flags")


def observations(rows: Iterable[Sequence[Any]]) -> Iterator[list[Any]]:
    """Yield the rows of SDMX-CSV from rows of QUESTION."""
    for cells in rows:
        row = dict(zip(NAMES, cells, strict=True))
        yield [
            DATAFLOW, "A", row["ISO3"], "NGDPD", row["Institution"], row["Publisher"], row["Year"],
            row["GDP_USD_billion"], observation_status(row), "USD", BILLIONS, DECIMALS, row["As_of"],
        ]  # fmt: skip


def observation_status(row: Mapping[str, Any]) -> str:
    """Return a figure's OBS_STATUS."""
    if kind_of(row) == PROJECTION:
        return FORECAST
    return LOW_RELIABILITY if is_flagged_by_check(row["Flags"]) else NORMAL
