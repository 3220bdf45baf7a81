"""The IMF's SDMX: nominal GDP of the World Economic Outlook (dataflow WEO), and of releases that have a dataflow.

A version of the dataflow is not a release: version 9.0.0 had October 2025, and then April 2026. PUBLICATION_DATE states
the release. Values are whole dollars; SCALE is how they are shown. Two forms are read: the XML that `fetch` asks for,
and the CSV of SDMX 3.0 that people download; the portal's CSV is like that, but in the scale that it names.
"""

from __future__ import annotations

import os
import re

from gdp.sources import Refused
from gdp.sources.http import download
from gdp.sources.imf.outlook import BILLIONS, COUNTRY_CODE, INDICATOR, WHOLE_DOLLARS, Outlook, Series
from gdp.sources.imf.releases import named_in
from gdp.sources.payloads import day_of, local_name, parsed_xml
from gdp.sources.tabular_files import Table, refuse_second_heading

VARIABLE = "GDP_ETL_SDMX_URL"
API_URL = "https://api.imf.org/external/sdmx/2.1"
CURRENT = "WEO"
COUNTRY, YEAR, VALUE, LAST_ACTUAL = "COUNTRY", "TIME_PERIOD", "OBS_VALUE", "LATEST_ACTUAL_ANNUAL_DATA"
UNITS = {"billions": BILLIONS, "millions": "Millions of U.S. dollars", "units": WHOLE_DOLLARS}  # by the portal's scale
_FLOW = re.compile(r"WEO(?:_\w+)?")
_SERIES = re.compile(r"(\w+)\.(\w+)\.A")


def fetch(flow: str = CURRENT) -> bytes:
    """Return a dataflow's nominal GDP of every country and year, as XML; raises Unreachable."""
    return download(data_url(os.environ.get(VARIABLE) or API_URL, flow)).content


def data_url(base: str, flow: str) -> str:
    """Return the address of a dataflow's nominal GDP; the order of the key is COUNTRY.INDICATOR.FREQUENCY."""
    return f"{base}/data/IMF.RES,{flow}/.{INDICATOR}.A"


class _Observations:
    """Series as they are read, observation by observation, and what is stated about all of them."""

    def __init__(self) -> None:
        self.figures: dict[str, dict[str, str | None]] = {}
        self.last_actual: dict[str, str] = {}
        self.others: set[str] = set()
        self.published: str | None = None
        self.flow = CURRENT
        self.unit = WHOLE_DOLLARS

    def add(self, of: dict[str, str], year: str, value: str | None) -> None:
        """Add an observation; raises Refused if it differs from another of the same country and year."""
        if of.get("INDICATOR") == INDICATOR and of.get("FREQUENCY", "A")[:1] == "A":
            code = of.get(COUNTRY, "")
            figures = self.figures.setdefault(code, {})
            other = figures.setdefault(year, value)
            if value and other and value != other:
                raise Refused(f"it has two figures of {code[:60]} in {year[:9]}, {other[:40]} and {value[:40]}")
            figures[year] = value or other
        else:
            self.others.add(of.get("INDICATOR", "nothing named"))

    def set_flow(self, text: str) -> None:
        """Set the dataflow in "IMF.RES:WEO_2025_OCT_VINTAGE(1.0.0)"."""
        found = _FLOW.search(text)
        self.flow = found[0] if found else CURRENT

    def outlook(self) -> Outlook:
        """Return the observations as an outlook; raises Refused if they have no figure of nominal GDP."""
        if not self.figures:
            named = f"{', '.join(sorted(self.others)[:3])}, not {INDICATOR}" if self.others else "no figure"
            raise Refused(f"it has {named}")
        series = [
            Series(code, None, figures, self.last_actual.get(code), not COUNTRY_CODE.fullmatch(code))
            for code, figures in self.figures.items()
        ]
        outlook = Outlook(
            series, self.unit, data_url(API_URL, self.flow), published=day_of(self.published or ""),
            release=named_in(self.flow) if self.flow != CURRENT else None,
        )  # fmt: skip
        outlook.dropped.update({f"series of {code}, another indicator": 1 for code in self.others})
        return outlook


def outlook_of_xml(content: bytes) -> Outlook:
    """Return the outlook in StructureSpecificData; raises Refused for XML that is broken, an error or a structure."""
    root = parsed_xml(content, "SDMX")
    if local_name(root.tag) != "StructureSpecificData":
        raise Refused(f"it is SDMX's {local_name(root.tag)} and holds no figures")
    found = _Observations()
    for element in root.iter():
        match local_name(element.tag):
            case "Ref":
                found.set_flow(str(element.get("id")))
            case "DataSet":
                found.published = element.get("PUBLICATION_DATE")
            case "Group" if element.get("INDICATOR") == INDICATOR and element.get(LAST_ACTUAL):
                found.last_actual[str(element.get(COUNTRY))] = str(element.get(LAST_ACTUAL))
            case "Series":
                of = {str(name): str(value) for name, value in element.attrib.items()}
                if LAST_ACTUAL in of:
                    found.last_actual.setdefault(of.get(COUNTRY, ""), of[LAST_ACTUAL])
                for one in element:
                    if local_name(one.tag) == "Obs":
                        found.add(of, str(one.get(YEAR)), one.get(VALUE))
    return found.outlook()


def is_sdmx_table(table: Table) -> bool:
    """Return whether a table is SDMX's CSV, an observation a row."""
    return bool(table) and {COUNTRY, YEAR, VALUE} <= set(table[0])


def outlook_of_tables(tables: list[Table]) -> Outlook:
    """Return the outlook in SDMX's CSV; raises Refused if a row is cut short, or it has only other indicators."""
    table = next(filter(is_sdmx_table, tables))
    header = table[0]
    refuse_second_heading(table, lambda row: YEAR in row)
    found = _Observations()
    for number, row in enumerate(table[1:], 2):
        if not any(row):
            continue
        if len(row) < len(header):
            raise Refused(f"row {number} is cut short: {row[:4]}")
        of = dict(zip(header, row, strict=False))
        if codes := _SERIES.fullmatch(of.get("SERIES_CODE", "")):
            of |= {COUNTRY: codes[1], "INDICATOR": codes[2]}  # the portal has names there
        found.add(of, of[YEAR], of[VALUE])
        found.set_flow(of.get("STRUCTURE_ID") or of.get("DATAFLOW") or CURRENT)
        found.published = of.get("PUBLICATION_DATE") or found.published
        if of.get("INDICATOR") == INDICATOR:
            found.unit = _unit_of(of.get("SCALE", ""))
            if of.get(LAST_ACTUAL):
                found.last_actual[of[COUNTRY]] = of[LAST_ACTUAL]
    return found.outlook()


def _unit_of(scale: str) -> str:
    """Return the unit of a value: SDMX has an exponent beside whole dollars, the portal's export a word."""
    if not scale or scale.isdecimal():
        return WHOLE_DOLLARS
    if scale.casefold() not in UNITS:
        raise Refused(f"the scale of its figures is {scale[:40]!r}, not one of {', '.join(UNITS)} or an exponent")
    return UNITS[scale.casefold()]
