"""What a record is: its fields, its flags, institutions and publishers, each defined once.

Validators, SQL, CSV, Parquet, the data package, docs/datasette.yml and docs/data.md are derived from here. To add a
column, add it to `Estimate`, and write it where it is known (transform/rules.py, or a check).
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, NamedTuple

# --- fields -----------------------------------------------------------------------------------------------------------


NO_UNIT, MAY_BE_ABSENT = None, True  # a field may be absent in a file of an older version


class Field(NamedTuple):
    """A field of a record, or a column of a table: its name, and what its annotation below says."""

    name: str
    python_type: type[str] | type[int] | type[float]
    is_nullable: bool
    description: str
    unit: str | None = None
    may_be_absent: bool = False

    @property
    def json_types(self) -> tuple[type, ...]:
        """The types that JSON may have for it: a whole number is a number too."""
        types: tuple[type, ...] = (int, float) if self.python_type is float else (self.python_type,)
        return (*types, type(None)) if self.is_nullable else types


class Raw(NamedTuple):
    """A raw record: one figure in the source's own text. extract writes it, transform reads it."""

    Country: Annotated[str, "The name in the source, footnote marks included"]
    GDP: Annotated[str, "The figure in the source, as text"]
    Year: Annotated[str | None, "The year cell beside the figure"]
    Column: Annotated[str | None, "The heading over the figure"]
    Unit: Annotated[str | None, "The text that states the unit, such as the caption"]
    Institution: Annotated[str, "Whose figure it is"]
    Source: Annotated[str, "Where it was published: the page's revision, or the API's address"]
    As_of: Annotated[str, "When the source published it: a day, or a moment in UTC"]
    Status: Annotated[str | None, "estimate or projection, as the source states", NO_UNIT, MAY_BE_ABSENT] = None


class Estimate(NamedTuple):
    """A row of GDP_Estimates. A clean record has the same fields, without the last two."""

    Country: Annotated[str, "The country's name, as in the reference table"]
    ISO3: Annotated[str | None, "ISO 3166-1 alpha-3 code; XKX for Kosovo; empty for an unknown name"]
    Region: Annotated[str | None, "UN M49's region, the Americas split in two; empty for an unknown name"]
    Subregion: Annotated[str | None, "UN M49's subregion"]
    Institution: Annotated[str, "Whose figure it is: IMF, World Bank, UN or CIA"]
    Year: Annotated[int, "The reference year: the year that the figure is for"]
    GDP_USD_billion: Annotated[float, "Nominal GDP, two decimals, rounded half up", "billion USD"]
    As_of: Annotated[
        str,
        "When the vintage was published, a day or a moment in UTC: in GDP_Estimates the first one with this figure, in"
        " Countries_by_GDP and GDP_Latest the newest one",
    ]
    Source: Annotated[str, "Where it was published: the page's revision, or the API's address"]
    Note: Annotated[str | None, "What the flags mean for this figure, for people"]
    Status: Annotated[str | None, "estimate or projection, as the source states", NO_UNIT, MAY_BE_ABSENT]
    Flags: Annotated[
        str | None, "Codes of what was found about the figure, separated by a space", NO_UNIT, MAY_BE_ABSENT
    ]
    GDP_USD_million: Annotated[
        float | None, "The figure as published; empty if loaded before it was kept", "million USD", MAY_BE_ABSENT
    ]
    Publisher: Annotated[str, "Who published it: wikipedia, imf or world_bank"]
    Until: Annotated[str, "The first later As_of without this figure; 9999-12-31 while it is current, empty in exports"]


class Load(NamedTuple):
    """A row of Loads: one vintage that was loaded."""

    Loaded_at: Annotated[str, "When it was loaded, a moment in UTC"]
    File: Annotated[str, "The file that was loaded, relative to the data folder where it is below that"]
    SHA256: Annotated[str, "The SHA-256 of that file"]
    As_of: Annotated[str, "When the source published the vintage"]
    Rows: Annotated[int, "How many figures the vintage has"]
    Publisher: Annotated[str, "Who published the vintage"]
    Institutions: Annotated[str, "Whose figures it has, separated by commas"]
    Source: Annotated[str, "Where it was published"]
    Left_out: Annotated[str | None, "JSON: how many records transform rejected or dropped, by reason"]
    Findings: Annotated[str | None, "JSON: what the checks found"]
    Doubt: Annotated[str | None, "Why the vintage is no baseline for others; empty if it is one"]
    Fingerprint: Annotated[str | None, "A hash of the vintage's figures and of the rules that checked them"]
    Control_totals: Annotated[
        str | None, "JSON: the World rows by institution and year, in millions of USD, which the checks need"
    ]


class Confirmation(NamedTuple):
    """A row of Confirmations: a finding that a person checked."""

    Publisher: Annotated[str, "Who published the figure"]
    Institution: Annotated[str, "Whose figure it is"]
    ISO3: Annotated[str, "The country's ISO 3166-1 alpha-3 code"]
    Year: Annotated[int, "The reference year"]
    As_of: Annotated[str, "The vintage of the figure that was confirmed"]
    Confirmed_at: Annotated[str, "When it was confirmed, a moment in UTC"]
    Reason: Annotated[str | None, "Why it is right, in the words of whoever confirmed it"]


def fields_of(record: type[tuple[Any, ...]]) -> dict[str, Field]:
    """Return the fields of one of the records above by name, in order."""
    fields = {}
    for name, hint in record.__annotations__.items():
        types = getattr(hint.__origin__, "__args__", (hint.__origin__,))
        fields[name] = Field(name, types[0], type(None) in types, *hint.__metadata__)
    return fields


RAW_FIELDS = fields_of(Raw)
ESTIMATE_FIELDS = fields_of(Estimate)
CLEAN_FIELDS = {name: field for name, field in ESTIMATE_FIELDS.items() if name not in ("Publisher", "Until")}
# Countries_by_GDP, in the order of its columns
HEADLINE_FIELDS = {
    name: ESTIMATE_FIELDS[name]
    for name in (
        "Country", "ISO3", "Region", "Year", "GDP_USD_billion", "As_of", "Source", "Note", "Flags", "GDP_USD_million",
    )
}  # fmt: skip

LOAD_FIELDS = fields_of(Load)
CONFIRMATION_FIELDS = fields_of(Confirmation)

RawRecord = dict[str, Any]  # by RAW_FIELDS
CleanRecord = dict[str, Any]  # by CLEAN_FIELDS

# --- flags ------------------------------------------------------------------------------------------------------------

# From the source: they are facts about what was published.
UNSOURCED, DISPUTED, YEAR_ASSUMED, TWO_YEARS, UNKNOWN_NAME, DUPLICATE, TWO_FIGURES = SOURCE_FLAGS = (
    "unsourced", "disputed", "year-assumed", "two-years", "unknown-name", "duplicate", "two-figures",
)  # fmt: skip
# From the checks: they depend on what else is known.
OUTLIER, UNIT_SLIP, SHARP_REVISION = "outlier", "unit-slip", "sharp-revision"
CONTRADICTS_VINTAGE, DEPARTS_FROM_IMF, STALE = "contradicts-vintage", "departs-from-imf", "stale"
CONFIRMED = "confirmed"  # by a person: the figure is a baseline like any other
NEW_COUNTRY, OUTSIDE_OUTLOOK, OTHER_INSTITUTION, ODD_YEAR, FATAL = (
    "new-country", "outside-outlook", "other-institution", "odd-year", "fatal",
)  # fmt: skip
FLAGS = {
    UNSOURCED: "The page gives no source for the column, or for this figure.",
    DISPUTED: "A mark on the page disputes the figure or its source.",
    YEAR_ASSUMED: "The page states no year; the year in which it was saved is used.",
    TWO_YEARS: "The heading states two years; the other one is the year of publication, or the first of a fiscal year.",
    UNKNOWN_NAME: "The reference table does not know the name, so the figure has no code and is never a headline.",
    DUPLICATE: "The source gives this figure twice, with the same value.",
    TWO_FIGURES: "The source gives two different figures for the same country and year.",
    OUTLIER: "The figure is far from the other institutions' figures, compared with most countries.",
    UNIT_SLIP: "The figure differs from the other institutions' by a factor of about 10 or 1,000.",
    SHARP_REVISION: "The figure changed more than an honest revision does.",
    CONTRADICTS_VINTAGE: "The vintage contradicts another one, and nothing shows yet which of the two is wrong.",
    DEPARTS_FROM_IMF: "The figure differs from the IMF's own.",
    STALE: "The figure is the one of an older release of the IMF.",
    NEW_COUNTRY: "The previous vintage has no figure for this country.",
    OUTSIDE_OUTLOOK: "The IMF's World Economic Outlook has no figure for this country.",
    OTHER_INSTITUTION: "The figure is another institution's, or not in the institution's own list.",
    ODD_YEAR: "The reference year is far from the year of publication.",
    CONFIRMED: "A person checked what was found and confirmed the figure.",
    FATAL: "The vintage has a fatal finding and was loaded with --force.",
}
# Note, for the flags that the source sets.
SOURCE_NOTES = {
    UNSOURCED: "the page gives no source",
    DISPUTED: "a mark on the page disputes it",
    YEAR_ASSUMED: "the page states no year; the year in which it was saved is used",
    TWO_YEARS: "the heading states another year too",
    UNKNOWN_NAME: "the reference table does not know the name",
    DUPLICATE: "the source gives it twice",
    TWO_FIGURES: "the source gives another figure too",
}
NOT_A_HEADLINE = (UNSOURCED, DISPUTED, UNKNOWN_NAME)
_OF_SOURCE = frozenset(SOURCE_FLAGS)
_HARMLESS = _OF_SOURCE - {TWO_FIGURES} | {CONFIRMED}


def joined_flags(codes: Iterable[str]) -> str | None:
    """Return codes as Flags has them, each once, in the order of FLAGS; None for no code."""
    found = set(codes)
    return " ".join(code for code in FLAGS if code in found) or None


def has_flag(flags: str | None, *codes: str) -> bool:
    """Return whether Flags has one of these codes."""
    return flags is not None and not set(codes).isdisjoint(flags.split())


def source_flags(flags: str | None) -> str | None:
    """Return those of the flags that the source's own text set."""
    return flags and joined_flags(code for code in flags.split() if code in _OF_SOURCE)


def note_of_source(flags: str | None) -> str | None:
    """Return what the flags that the source set mean, for people."""
    return "; ".join(SOURCE_NOTES[code] for code in flags.split() if code in SOURCE_NOTES) or None if flags else None


def is_flagged_by_check(flags: str | None) -> bool:
    """Return whether something was found against a figure, so that it is no baseline."""
    return flags is not None and not _HARMLESS.issuperset(flags.split())


# --- institutions and publishers --------------------------------------------------------------------------------------

INSTITUTIONS = ("IMF", "World Bank", "UN", "CIA")


class Publisher(NamedTuple):
    """Who publishes figures: the name in tables and options, the label for people, and where a Source is recognised."""

    name: str
    label: str
    hosts: tuple[str, ...]  # how a Source of this publisher begins
    title: str
    url: str
    licence: str
    licence_title: str
    licence_url: str


WIKIPEDIA = Publisher(
    "wikipedia", "Wikipedia", (), "Wikipedia",
    "https://en.wikipedia.org/wiki/List_of_countries_by_GDP_(nominal)",
    "CC-BY-SA-4.0", "Creative Commons Attribution-ShareAlike 4.0", "https://creativecommons.org/licenses/by-sa/4.0/",
)  # fmt: skip
IMF = Publisher(
    "imf", "IMF",
    (
        "https://www.imf.org/", "https://api.imf.org/",
        "https://api.db.nomics.world/v22/series/IMF/",  # DBnomics keeps the IMF's releases
    ),
    "International Monetary Fund, World Economic Outlook", "https://www.imf.org/en/Publications/WEO",
    "other-open", "IMF, Copyright and Usage", "https://www.imf.org/external/terms.htm",
)  # fmt: skip
WORLD_BANK = Publisher(
    "world_bank", "World Bank", ("https://api.worldbank.org/",), "World Bank, World Development Indicators",
    "https://data.worldbank.org/indicator/NY.GDP.MKTP.CD",
    "CC-BY-4.0", "Creative Commons Attribution 4.0", "https://creativecommons.org/licenses/by/4.0/",
)  # fmt: skip
PUBLISHERS = {publisher.name: publisher for publisher in (WIKIPEDIA, IMF, WORLD_BANK)}


def publisher_of(source: str) -> str:
    """Return the name of the publisher that a Source belongs to; a Source of no known host is a page of Wikipedia."""
    for publisher in PUBLISHERS.values():
        if source.startswith(publisher.hosts):
            return publisher.name
    return WIKIPEDIA.name


# --- values -----------------------------------------------------------------------------------------------------------

ESTIMATE, PROJECTION = STATUSES = ("estimate", "projection")  # up to the last year that the source calls actual; after
FIRST_YEAR, LAST_YEAR = 1900, 2100  # national accounts begin in the 1930s; the IMF projects six years ahead
MAX_NAME_CHARACTERS, MAX_TEXT_CHARACTERS = 200, 2_000  # of a country's name, and of any other field
MAX_BILLION_USD = 10_000_000  # eighty-five times the world's GDP of 2025
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet takes a text that begins with one for a formula
CURRENT = "9999-12-31"  # Until, while a figure is current: later than every As_of, so that one comparison is enough
_AS_OF = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\dZ)?")


def is_as_of(text: str) -> bool:
    """Return whether a text is a day, or a moment in UTC."""
    try:
        return bool(_AS_OF.fullmatch(text) and datetime.fromisoformat(text.replace("Z", "+00:00")))
    except ValueError:
        return False


def is_in_future(as_of: str) -> bool:
    """Return whether an As_of is after tomorrow; somewhere it is tomorrow already."""
    return as_of[:10] > (datetime.now(timezone.utc) + timedelta(days=1)).date().isoformat()
