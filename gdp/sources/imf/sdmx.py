"""The IMF's SDMX: nominal GDP of the World Economic Outlook (dataflow WEO), and of releases that stand as vintages.

A version of the dataflow is not a vintage: version 9.0.0 held October 2025, and then April 2026. What tells the release
is PUBLICATION_DATE. Values are whole dollars; SCALE says how they are shown. An answer comes as XML, JSON or CSV.
"""

from __future__ import annotations

import os
import re
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from gdp.sources import Refused
from gdp.sources.http import download
from gdp.sources.imf.releases import ReleaseMonth, day_of, named_in
from gdp.sources.imf.weo_model import INDICATOR, WHOLE_DOLLARS, Outlook, Series
from gdp.sources.payloads import shaped
from gdp.sources.tabular_files import Table
from utils import MONTHS

API_URL = "https://api.imf.org/external/sdmx/2.1"
CURRENT = "WEO"
COUNTRY, YEAR, VALUE, LAST_ACTUAL = "COUNTRY", "TIME_PERIOD", "OBS_VALUE", "LATEST_ACTUAL_ANNUAL_DATA"
_A_COUNTRY = re.compile(r"[A-Z]{3}")  # groups are G001, G163 …
_FLOW = re.compile(r"WEO(?:_\w+)?")


def address() -> str:
    """Return where the IMF's SDMX is: GDP_ETL_SDMX_URL, or the IMF's own."""
    return os.environ.get("GDP_ETL_SDMX_URL") or API_URL


def vintage(release: ReleaseMonth) -> str:
    """Return the dataflow that holds a past release, if it stands."""
    return f"WEO_{release.year}_{MONTHS[release.month - 1][:3].upper()}_VINTAGE"


def fetch(flow: str = CURRENT) -> bytes:
    """Return a dataflow's nominal GDP of every country and year, as XML; raises Unreachable."""
    return download(data_url(address(), flow)).content


def data_url(base: str, flow: str) -> str:
    """Return the address of a dataflow's nominal GDP; the order of the key is COUNTRY.INDICATOR.FREQUENCY."""
    return f"{base}/data/IMF.RES,{flow}/.{INDICATOR}.A"


# --- what was read: observations --------------------------------------------------------------------------------------


class _Found:
    """Series as they are found, observation by observation, and what is told of all of them."""

    def __init__(self) -> None:
        self.figures: dict[str, dict[str, str | None]] = {}
        self.last_actual: dict[str, str] = {}
        self.others: set[str] = set()
        self.published: str | None = None
        self.flow = CURRENT

    def add(self, of: dict[str, str], year: str, value: str | None) -> None:
        if of.get("INDICATOR") == INDICATOR and of.get("FREQUENCY", "A") == "A":
            self.figures.setdefault(of.get(COUNTRY, ""), {})[year] = value
        else:
            self.others.add(of.get("INDICATOR", "nothing named"))

    def outlook(self) -> Outlook:
        """Return what was found as an outlook; raises Refused where it holds no figure of nominal GDP."""
        if not self.figures:
            named = f"{', '.join(sorted(self.others)[:3])}, not {INDICATOR}" if self.others else "no figure"
            raise Refused(f"it has {named}")
        series = [
            Series(code, None, figures, self.last_actual.get(code), not _A_COUNTRY.fullmatch(code))
            for code, figures in self.figures.items()
        ]
        outlook = Outlook(
            series, WHOLE_DOLLARS, data_url(API_URL, self.flow), published=day_of(self.published or ""),
            release=named_in(self.flow) if self.flow != CURRENT else None,
        )  # fmt: skip
        outlook.left_out.update({f"series of {code}, another indicator": 1 for code in self.others})
        return outlook


def _flow_in(text: str) -> str:
    """Return the dataflow in "IMF.RES:WEO_2025_OCT_VINTAGE(1.0.0)"."""
    found = _FLOW.search(text)
    return found[0] if found else CURRENT


# --- XML --------------------------------------------------------------------------------------------------------------


def outlook_of_xml(content: bytes) -> Outlook:
    """Return what StructureSpecificData says; raises Refused for XML that is broken, an error or a structure."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Refused(f"it is cut short, or no XML: {error}"[:160]) from None
    if _local(root) != "StructureSpecificData":
        raise Refused(f"it is SDMX's {_local(root)} and holds no figures")
    found = _Found()
    for element in root.iter():
        match _local(element):
            case "Ref":
                found.flow = _flow_in(str(element.get("id")))
            case "DataSet":
                found.published = element.get("PUBLICATION_DATE")
            case "Group" if element.get("INDICATOR") == INDICATOR and element.get(LAST_ACTUAL):
                found.last_actual[str(element.get(COUNTRY))] = str(element.get(LAST_ACTUAL))
            case "Series":
                of = {str(name): str(value) for name, value in element.attrib.items()}
                if LAST_ACTUAL in of:
                    found.last_actual.setdefault(of.get(COUNTRY, ""), of[LAST_ACTUAL])
                for one in element:
                    if _local(one) == "Obs":
                        found.add(of, str(one.get(YEAR)), one.get(VALUE))
    return found.outlook()


def _local(element: Any) -> str:
    """Return an element's name without its namespace; "" for a comment."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


# --- CSV --------------------------------------------------------------------------------------------------------------


def is_sdmx_table(table: Table) -> bool:
    """Tell whether a table is SDMX's CSV, an observation a row."""
    return bool(table) and {COUNTRY, YEAR, VALUE} <= set(table[0])


def outlook_of_rows(table: Table) -> Outlook:
    """Return what SDMX's CSV says; raises Refused where a row is cut short, or it is of other indicators."""
    header = table[0]
    found = _Found()
    for number, row in enumerate(table[1:], 2):
        if not any(row):
            continue
        if len(row) < len(header):
            raise Refused(f"row {number} is cut short: {row[:4]}")
        of = dict(zip(header, row, strict=False))
        found.add(of, of[YEAR], of[VALUE])
        found.flow = _flow_in(of.get("STRUCTURE_ID") or of.get("DATAFLOW") or CURRENT)
        found.published = of.get("PUBLICATION_DATE") or found.published
        if of.get("INDICATOR") == INDICATOR and of.get(LAST_ACTUAL):
            found.last_actual[of[COUNTRY]] = of[LAST_ACTUAL]
    return found.outlook()


# --- JSON -------------------------------------------------------------------------------------------------------------


def is_sdmx_json(answer: dict[str, Any]) -> bool:
    """Tell whether an answer is SDMX's JSON: it has data sets, or a structure without any."""
    data = answer.get("data")
    return isinstance(data, dict) and bool({"dataSets", "dataflows", "structures", "dataStructures"} & set(data))


def outlook_of_json(answer: dict[str, Any]) -> Outlook:
    """Return what SDMX's JSON says; raises Refused for a structure without figures, or what is not as it should be."""
    data = shaped(answer.get("data"), dict, "data")
    if "dataSets" not in data:
        raise Refused("it describes SDMX's data structures and holds no figures")
    try:
        return _outlook_of_data(data)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise Refused(f"its SDMX cannot be followed: {type(error).__name__}: {error}"[:120]) from None


def _outlook_of_data(data: dict[str, Any]) -> Outlook:
    structure = (data.get("structures") or [data.get("structure")])[0]
    dimensions = structure["dimensions"]["series"]
    years = [_value(value) for value in structure["dimensions"]["observation"][0]["values"]]
    attributes = structure.get("attributes", {})
    found = _Found()
    for data_set in data["dataSets"]:
        said_of_set = _said(attributes.get("dataSet") or (), data_set.get("attributes") or ())
        found.published = said_of_set.get("PUBLICATION_DATE") or found.published
        for key, said in (data_set.get("dimensionGroupAttributes") or {}).items():
            of = _key(key, dimensions)
            last = _said(attributes.get("dimensionGroup") or (), said).get(LAST_ACTUAL)
            if last and of.get("INDICATOR") == INDICATOR:
                found.last_actual[of[COUNTRY]] = last
        for key, one in (data_set.get("series") or {}).items():
            of = _key(key, dimensions)
            last = _said(attributes.get("series") or (), one.get("attributes") or ()).get(LAST_ACTUAL)
            if last and of.get("INDICATOR") == INDICATOR:
                found.last_actual.setdefault(of[COUNTRY], last)
            for position, observed in one["observations"].items():
                value = observed[0]
                found.add(of, years[int(position)], None if value is None else str(value))
    return found.outlook()


def _key(key: str, dimensions: list[Any]) -> dict[str, str]:
    """Return the codes that "0:1:0" means; a place that is empty means all."""
    places = zip(dimensions, key.split(":"), strict=False)
    return {dimension["id"]: _value(dimension["values"][int(place)]) for dimension, place in places if place}


def _said(attributes: Any, entries: Any) -> dict[str, str]:
    """Return attributes by name: an entry is an index into an attribute's values, or the value itself."""
    said = {}
    for attribute, entry in zip(attributes, entries, strict=False):
        values = attribute.get("values") or ()
        place = str(entry[0] if isinstance(entry, list) and entry else entry)
        is_index = place.isdecimal() and len(place) < 6 and int(place) < len(values)
        if entry not in (None, []):
            said[attribute["id"]] = _value(values[int(place)]) if is_index else place
    return said


def _value(entry: Any) -> str:
    return str(entry.get("value") or entry.get("id")) if isinstance(entry, dict) else str(entry)
