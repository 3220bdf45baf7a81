"""The rules a record at a time: exact figures, years from the nearest text, names to countries."""

from __future__ import annotations

import csv
import json
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdp.model import NOT_A_HEADLINE, RawRecord, has_flag
from gdp.transform.amounts import (
    Figure,
    billions_in,
    figure_of,
    hundredths,
    millions,
    texts_of,
    texts_of_billions,
    unit_factor,
    whole_numbers,
)
from gdp.transform.batch import clean_lines
from gdp.transform.countries import fold, reference
from gdp.transform.rules import Fate, clean, name_of
from tests.conftest import SHARED_PAGES

FILE_OF_IMF = "https://www.imf.org/en/Publications/WEO/weo-database"
FACTS = SHARED_PAGES.parent / "facts"
MILLIONS, BILLIONS = unit_factor("GDP (US$million)", None), unit_factor("GDP (US$billion)", None)
UNITS = [unit_factor(None, text) for text in ("trillion", "billion", "million", "thousand", "current US$")]
needs_shared = pytest.mark.skipif(not FACTS.exists(), reason="../shared is not beside the project")


def raw(**changes: str | None) -> RawRecord:
    record = {
        "Country": "South Korea", "GDP": "1,858,572", "Column": "IMF(2025)[6]", "Unit": "GDP (million US$)",
        "Year": None, "Institution": "IMF", "Source": "a page", "As_of": "2025-12-30T20:09:00Z",
    }  # fmt: skip
    return {**record, **changes}


@pytest.mark.parametrize("source", [FILE_OF_IMF, "https://api.worldbank.org/v2/country/all/indicator/NY.GDP.MKTP.CD"])
@pytest.mark.parametrize(
    ("text", "unit", "million"),
    [
        ("927.235", "Millions of U.S. dollars", 927.235),
        ("12,927.235", "Millions of U.S. dollars", 12927.235),
        ("927.235", "GDP (current US$)", 0.000927235),
        ("1.234.567", "Millions of U.S. dollars", None),
        ("1.234,567", "Millions of U.S. dollars", None),
        ("########", "Millions of U.S. dollars", None),
        ("[n 1]", "Millions of U.S. dollars", None),
    ],
)
def test_in_a_file_a_dot_is_a_decimal_point_in_both_paths(text: str, unit: str, million: float, source: str) -> None:
    record = raw(GDP=text, Unit=unit, Column=None, Year="2021", Source=source)
    outcome = clean(record)
    assert (outcome.record or {}).get("GDP_USD_million") == million
    lines = [json.dumps(one, ensure_ascii=False) for one in (raw(**{**record, "GDP": "1,000"}), record)]
    chunk = clean_lines("\n".join(lines).encode(), "a file", 0)
    assert len(chunk.rejects) == (million is None)
    assert [json.loads(line) for line in chunk.lines.splitlines()[1:]] == [outcome.record] * (million is not None)


def test_on_a_page_a_dot_before_three_digits_may_still_be_between_thousands() -> None:
    outcome = clean(raw(GDP="927.235"))
    assert outcome.record and outcome.record["GDP_USD_million"] == 927235


@given(st.integers(1, 10**9))
def test_every_whole_million_becomes_billions_with_two_decimals_halves_up(million: int) -> None:
    want = (Decimal(million) / 1000).quantize(Decimal("0.01"), ROUND_HALF_UP)
    outcome = clean(raw(GDP=f"{million:,}"))
    assert outcome.record
    assert f"{outcome.record['GDP_USD_billion']:.2f}" == str(want)
    assert repr(outcome.record["GDP_USD_billion"]) == repr(float(want))


@pytest.mark.parametrize(
    ("text", "factor", "cents"),
    [
        ("561,725", MILLIONS, 56173),
        ("77,460/Na", MILLIONS, 7746),
        ("98,964 (2024)", MILLIONS, 9896),
        ("7007304000000000000♠30,615,743", MILLIONS, 3061574),
        ("US$ 30,615,743", MILLIONS, 3061574),
        ("▲ ~30,615,743 (26.1%) (1st)", MILLIONS, 3061574),
        ("c. 30,615,743 est.", MILLIONS, 3061574),
        ("30,615,743e", MILLIONS, 3061574),
        ("30,615,743¹", MILLIONS, 3061574),
        ("30,615,743 (1)", MILLIONS, 3061574),
        ("３０，６１５，７４３", MILLIONS, 3061574),
        ("30\u2009615\u2009743", MILLIONS, 3061574),
        ("30\u00a0615\u00a0743", MILLIONS, 3061574),
        ("30\u202f615\u202f743[n 1]", MILLIONS, 3061574),
        ("30.615.743", MILLIONS, 3061574),
        ("615.743", MILLIONS, 61574),
        ("4,125,213 1", MILLIONS, 412521),
        ("30,615.743", BILLIONS, 3061574),
        ("30.616", unit_factor("GDP (US$ trillion)", None), 3061600),
        ("30,615,743,000", unit_factor(None, "GDP in thousands of US$"), 3061574),
        ("30615743000000", unit_factor(None, "GDP (current US$)"), 3061574),
        ("615.745", BILLIONS, 61575),
        ("9.095", BILLIONS, 910),
        ("1.234,5", BILLIONS, 123450),
        ("$30,615,743†", MILLIONS, 3061574),
        ("4", MILLIONS, 0),
        ("5", MILLIONS, 1),
    ],
)
def test_a_figure_is_read_right(text: str, factor: Decimal, cents: int) -> None:
    assert figure_of(text, factor).cents == cents


@pytest.mark.parametrize("text", ["", "—", "–", "-", "N/A", "n/a", "NA", "..", "—[n 3]", "\u00a0"])
def test_a_known_sign_of_absence_is_no_figure(text: str) -> None:
    assert clean(raw(GDP=text)).fate is Fate.ABSENT


@pytest.mark.parametrize("text", [
    "abc", "0", "-5", "1,2,x", "12 13", "98,964 2024", "1e9", "9" * 40, "∞",
    "4,125,2131", "1115,494,312", "1,23,45,678", "12[1]456", "12³456", "Int$ 5,000", "€ 5,000", "<5,000", "1.5 bn",
])  # fmt: skip
def test_anything_else_is_rejected_with_its_text(text: str) -> None:
    outcome = clean(raw(GDP=text))
    assert outcome.fate is Fate.REJECTED
    assert outcome.reason
    assert "GDP is" in outcome.reason


@pytest.mark.parametrize(
    ("changes", "year"),
    [
        ({}, 2025),
        ({"Year": "2024"}, 2024),
        ({"Year": "[n 1]2022"}, 2022),
        ({"Year": "2022–24"}, 2024),
        ({"Year": "2019-2021"}, 2021),
        ({"Year": "1999–00"}, 2000),
        ({"Year": "1999/00"}, 2000),
        ({"Column": "IMF (1999–00)"}, 2000),
        ({"Year": "'49"}, 2049),
        ({"Year": "'50"}, 1950),
        ({"Year": "1900"}, 1900),
        ({"Year": "2099–00"}, 2100),
        ({"GDP": "98,964 (2023)", "Year": "2024"}, 2023),
        ({"Column": "World Bank (2022–24)[7]"}, 2024),
        ({"Column": "Per the International Monetary Fund (2019 estimates) GDP(US$million)"}, 2019),
        ({"Column": "GDP", "Unit": "GDP by country, 2012 (US$)"}, 2012),
        ({"Year": "—"}, 2025),
        ({"Year": "2024e"}, 2024),
        ({"Year": "2024 est."}, 2024),
        ({"Year": "FY2024"}, 2024),
        ({"Year": "FY24"}, 2024),
        ({"Year": "'24"}, 2024),
        ({"Year": "2023/24"}, 2024),
        ({"GDP": "98,964 (2024 est.)"}, 2024),
        ({"Column": "IMF (2024 est.)[1]"}, 2024),
        ({"Column": "IMF (2024e)"}, 2024),
        ({"Column": "IMF (FY24)"}, 2024),
    ],
)
def test_the_year_comes_from_the_cell_then_the_year_cell_then_the_heading(changes: dict[str, str], year: int) -> None:
    record = clean(raw(**changes)).record
    assert record and (record["Year"], record["Flags"]) == (year, None)


def test_of_a_split_year_the_later_one_is_used_and_flagged() -> None:
    record = clean(raw(Column="IMF (FY2023/24)")).record
    assert record and record["Year"] == 2024
    assert record["Flags"] == "two-years"


@pytest.mark.parametrize(
    ("name", "kept"), [("1. Ruritania", "1. Ruritania"), ("Ruritania 1", "Ruritania 1"), ("12 Chad", "Chad")]
)
def test_a_rank_is_taken_off_a_known_name_only(name: str, kept: str) -> None:
    assert name_of(name).text == kept


def test_a_heading_with_a_range_by_a_dash_states_one_year() -> None:
    record = clean(raw(Column="World Bank (2022–24)")).record
    assert record and (record["Year"], record["Flags"]) == (2024, None)


@pytest.mark.parametrize(
    ("gdp", "fate"), [("10,000,000", Fate.CLEAN), ("10,000,000.001", Fate.REJECTED), ("0.0", Fate.REJECTED)]
)
def test_the_largest_figure_is_ten_million_billions_and_zero_is_none(gdp: str, fate: Fate) -> None:
    assert clean(raw(GDP=gdp, Unit="GDP in billions of US$")).fate is fate


@pytest.mark.parametrize(("gdp", "unit", "million"), [
    ("1,858,572", "million US$", "1858572"), ("4.5", "million US$", "4.5"), ("9.095", "billion US$", "9095"),
    ("1858572345", "thousands of US$", "1858572.345"), ("9.0950000000000006394884621840902", "billion US$", "9095"),
    ("615.743", "billion US$", "615743"), ("1.2345", "billion US$", "1234.5"), ("7", "trillion US$", "7000000"),
    ("1858572000", "thousands of US$", "1858572"),
])  # fmt: skip
def test_millions_are_the_published_figure_at_its_shortest(gdp: str, unit: str, million: str) -> None:
    record = clean(raw(GDP=gdp, Column=None, Unit=unit, Year="2024")).record
    assert record and repr(record["GDP_USD_million"]) == million


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"As_of": "2999-01-01"}, "in the future"), ({"As_of": "2025-02-30"}, "no date"),
        ({"Institution": "imf"}, "not one of IMF"), ({"Country": "12"}, "no name"), ({"Status": "sure"}, "not one of"),
    ],
)  # fmt: skip
def test_a_rejected_record_has_its_reason(changes: dict[str, str], words: str) -> None:
    outcome = clean(raw(**changes))
    assert outcome.fate is Fate.REJECTED and words in str(outcome.reason)


def test_the_unit_of_the_heading_counts_before_that_of_the_caption() -> None:
    record = clean(raw(Column="GDP (US$ billion)", Unit="in millions of US$", GDP="1,858.57", Year="2024")).record
    assert record and record["GDP_USD_billion"] == 1858.57


def test_a_year_behind_the_name_counts_before_the_heading_and_is_taken_off() -> None:
    record = clean(raw(Country="Pakistan (2019)")).record
    assert record
    assert (record["Country"], record["Year"]) == ("Pakistan", 2019)


def test_where_no_year_is_stated_the_year_of_the_page_is_used_and_flagged() -> None:
    record = clean(raw(Column="IMF", Unit=None)).record
    assert record
    assert record["Year"] == 2025
    assert record["Flags"] == "year-assumed"


@pytest.mark.parametrize(
    "heading", ["IMF (2025, WEO April 2024)", "IMF (2025) as of April 2024", "IMF 2025 (updated 2024)"]
)
def test_of_two_years_in_a_heading_the_release_year_is_not_used_and_the_figure_is_flagged(heading: str) -> None:
    record = clean(raw(Column=heading)).record
    assert record and record["Year"] == 2025
    assert record["Flags"] == "two-years"


@given(st.lists(st.text("0123456789", min_size=1, max_size=5), min_size=2, max_size=4))
def test_groups_of_other_than_three_digits_are_never_a_figure(groups: list[str]) -> None:
    well_grouped = len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
    assert figure_of(",".join(groups), MILLIONS).cents is None or well_grouped


@pytest.mark.parametrize("changes", [{"Year": "20x5"}, {"Year": "1492"}, {"Column": "IMF (2024) or (2025)"}])
def test_a_text_that_is_no_year_rejects_the_record(changes: dict[str, str]) -> None:
    assert clean(raw(**changes)).fate is Fate.REJECTED


def test_figures_of_an_uncited_column_are_flagged_unsourced() -> None:
    uncited = clean(raw(Column="IMF(2026)[citation needed]")).record
    assert uncited and (uncited["Flags"], uncited["Note"]) == ("unsourced", "the page gives no source")


@pytest.mark.parametrize(
    "mark",
    [
        "citation needed", "sources needed", "dubious – discuss", "disputed", "unreliable source?",
        "failed verification",
        "better source needed", "original research?", "verification needed", "self-published source?", "AI-generated?",
        "non-primary source needed",
    ],
)  # fmt: skip
def test_a_mark_that_disputes_a_heading_or_a_figure_keeps_it_from_the_headlines(mark: str) -> None:
    for changes in ({"Column": f"IMF (2025)[{mark}][6]"}, {"GDP": f"1,858,572[{mark}]"}):
        record = clean(raw(**changes)).record
        assert record and has_flag(record["Flags"], *NOT_A_HEADLINE)


@pytest.mark.parametrize("mark", ["needs update", "when?", "page needed", "clarification needed", "as of?", "n 1"])
def test_any_other_mark_disputes_nothing(mark: str) -> None:
    record = clean(raw(Column=f"IMF (2025)[{mark}]", GDP=f"1,858,572[{mark}]")).record
    assert record and (record["Flags"], record["Note"]) == (None, None)


def test_a_world_row_with_a_digit_too_many_is_no_control_total() -> None:
    assert clean(raw(Country="World", GDP="1115,494,312")).fate is Fate.REJECTED


def test_world_is_a_control_total_and_no_country() -> None:
    assert clean(raw(Country="World")).fate is Fate.AGGREGATE
    assert name_of("1. World").text == "World" and name_of("1. World").is_aggregate
    assert clean(raw(Country="European Union[n 2]")).fate is Fate.AGGREGATE


@pytest.mark.parametrize(
    ("name", "iso3"),
    [
        ("China[n 1]", "CHN"), ("Namibia", "NAM"), ("Congo", "COG"), ("DR Congo", "COD"), ("Micronesia", "FSM"),
        ("Saint Martin", "MAF"), ("Sint Maarten (Netherlands)", "SXM"), ("Hong Kong (China)", "HKG"),
        ("Kosovo", "XKX"), ("Taiwan", "TWN"), ("Palestine[n 11][n 12]", "PSE"), ("Türkiye", "TUR"),
        ("Côte d’Ivoire†", "CIV"), ("\u00a0Zanzibar", "EAZ"), ("Cayman Islands (UK)", "CYM"), ("Swaziland", "SWZ"),
        ("Western Samoa", "WSM"), ("Zaire", "COD"), ("DRC", "COD"), ("Dominican Rep.", "DOM"), ("Macau SAR", "MAC"),
        ("Georgia (country)", "GEO"), ("PR China", "CHN"), ("Bosnia-Herzegovina", "BIH"), ("Åland", "ALA"),
        ("St. Martin", "MAF"),
    ],
)  # fmt: skip
def test_a_name_that_traps_is_the_right_country(name: str, iso3: str) -> None:
    country = name_of(name).country
    assert country
    assert country.iso3 == iso3


@pytest.mark.parametrize(
    "name",
    ["1 United States", "1. United States", "USA United States", "United States (USA)", "US – United States", "12) US"],
)
def test_a_rank_or_its_own_code_beside_a_name_is_ignored(name: str) -> None:
    assert name_of(name).text == "United States"


@pytest.mark.parametrize(
    "name", ["CAN United States", "Canada (MEX)", "XX United States", "1 Atlantis", "USA Atlantis"]
)
def test_a_code_that_is_not_the_named_country_s_assigns_nothing(name: str) -> None:
    assert name_of(name).country is None


# The IMF's code list counts these to a successor; ISO 3166 does not, and their figures are not the successors'.
FORMER = {"Czechoslovakia": "CSK", "Yemen Arab Republic": "YAR", "Yemen, People's Democratic Republic of": "YMD"}


@pytest.mark.parametrize(
    ("name", "iso3", "subregion"),
    [
        ("Czechoslovakia", "CSK", "Eastern Europe"), ("USSR", "SUN", "Eastern Europe"),
        ("Soviet Union", "SUN", "Eastern Europe"), ("Yugoslavia", "YUG", "Southern Europe"),
        ("Serbia and Montenegro", "SCG", "Southern Europe"), ("East Germany", "DDR", "Eastern Europe"),
        ("South Yemen", "YMD", "Western Asia"), ("North Yemen", "YAR", "Western Asia"),
        ("Netherlands Antilles", "ANT", "Caribbean"),
    ],
)  # fmt: skip
def test_a_country_that_is_no_more_is_not_its_successor(name: str, iso3: str, subregion: str) -> None:
    country = name_of(name).country
    assert country
    assert (country.iso3, country.subregion) == (iso3, subregion)


@needs_shared
def test_every_known_spelling_of_one_country_is_known() -> None:
    with (FACTS / "country_name_variants.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            country = name_of(row["variant"]).country
            assert country, row
            assert country.iso3 == FORMER.get(row["variant"], row["iso3"])


@needs_shared
def test_every_known_aggregate_is_an_aggregate_and_regions_are_those_of_m49() -> None:
    with (FACTS / "names_unmatched_or_aggregate.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            country = reference().find(row["name"])
            codes = row["candidates"].split()
            assert reference().is_aggregate(row["name"]) or (country and (not codes or country.iso3 in codes)), row
    americas = {"Northern America": "North America", "Central America": "North America", "Caribbean": "North America"}
    by_iso3 = {country.iso3: country for country in reference().countries.values()}
    with (FACTS / "un_m49.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            sub = row["Intermediate Region Name"] or row["Sub-region Name"]
            region = americas.get(sub, "South America") if row["Region Name"] == "Americas" else row["Region Name"]
            country = by_iso3[row["ISO-alpha3 Code"]]
            assert (country.region or "", country.subregion or "") == (region, sub)


def test_no_name_belongs_to_two_countries_nor_to_a_country_and_an_aggregate() -> None:
    known = reference()  # raises when two countries share a name
    assert not known.countries.keys() & known.aggregates
    assert fold("Côte d'Ivoire") == fold("COTE D’IVOIRE") == "cote d ivoire"


@given(st.text(max_size=40), st.text(max_size=20), st.none() | st.text(max_size=12), st.none() | st.text(max_size=30))
def test_any_text_has_one_fate_and_no_error(country: str, gdp: str, year: str | None, column: str | None) -> None:
    outcome = clean(raw(Country=country, GDP=gdp, Year=year, Column=column))
    assert (outcome.reason is not None) == (outcome.fate is Fate.REJECTED)
    assert (outcome.record is not None) == (outcome.fate in (Fate.CLEAN, Fate.AGGREGATE))


# --- many figures at once ---------------------------------------------------------------------------------------------

WHOLE = st.builds(lambda number, by: f"{number:{by}}", st.integers(1, 10**17), st.sampled_from(["", ","]))
NEARLY = st.text("0123456789,.- ()—[a]\u0663", max_size=12) | st.sampled_from(["0", "007", "0,123", "1,23", "1\r", "—"])


@given(st.lists(WHOLE | NEARLY, max_size=8), st.sampled_from(UNITS))
def test_whole_figures_read_at_once_are_what_each_is_by_itself(texts: list[str], factor: Decimal) -> None:
    numbers, odd = whole_numbers([text.encode() for text in texts], factor)
    cents, published = hundredths(numbers, factor), millions(numbers, factor)
    assert len(cents) == len(texts) and [cents[place] for place in odd] == [0] * len(odd)
    for place, text in enumerate(texts):
        if place not in odd:
            billions = billions_in(text, factor)
            assert billions is not None
            assert cents[place] == int(billions * 100 + Decimal("0.5"))
            assert published[place] == float(billions * 1000)
            assert figure_of(text, factor) == Figure(cents[place], published[place])
    assert [*map(b"".join, zip(*texts_of_billions(cents), strict=True))] == [
        json.dumps(c / 100).encode() for c in cents
    ]
    assert texts_of(published) == [json.dumps(one).encode() for one in published]


@given(st.integers(1, 9_999_999), st.sampled_from(["", ","]))
def test_a_whole_figure_in_millions_is_read_at_once_and_exactly(million: int, by: str) -> None:
    numbers, odd = whole_numbers([f"{million:{by}}".encode()], MILLIONS)
    assert (hundredths(numbers, MILLIONS), millions(numbers, MILLIONS), odd) == ([(million + 5) // 10], [million], [])


@given(st.decimals("0.001", "10000000", places=3))
def test_a_published_figure_makes_the_round_trip_through_json(billions: Decimal) -> None:
    record = clean(raw(GDP=str(billions), Unit="billion USD")).record
    assert record
    assert Decimal(json.dumps(json.loads(json.dumps(record["GDP_USD_million"])))) == billions * 1000
