"""Every layout that the page has had since 2005 is read as its model says; the models are built from facts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from gdp.sources import Refused
from gdp.sources.wikipedia import page as wikipedia
from gdp.transform.rules import Fate, clean
from tests.page_builder import Figure, Layout, Page, Series, build, listed, page_of_facts, per, plain

FACTS = page_of_facts()
Model = tuple[Page, Layout]


def saved(year: int, month: int = 7) -> datetime:
    return datetime(year, month, 1, 12, 0, tzinfo=timezone.utc)


def series(institution: str, year: int, label: str | None = None, like: str | None = None, marks: str = "") -> Series:
    """Return a column with the facts' figures under another year; `label` is the year as the heading has it."""
    source = next(one for one in FACTS.series if one.institution == (like or institution))
    figures = {name: Figure(re.sub(r" \(\d+\)", "", f.text), year) for name, f in source.figures.items()}
    return Series(institution, label or str(year), figures, marks)


def changed(one: Series, change: Callable[[str, Figure], tuple[str, Figure]]) -> Series:
    return replace(one, figures=dict(change(name, figure) for name, figure in one.figures.items()))


def without_absent(one: Series) -> Series:
    """Return a column as a table of its own has it: without the countries that it has no figure for."""
    return replace(one, figures={name: f for name, f in one.figures.items() if f.text not in ("", "—")})


def with_figures(one: Series, **texts: tuple[str, int]) -> Series:
    return changed(one, lambda name, f: (name, Figure(*texts[name]) if name in texts else f))


def renamed(one: Series, names: dict[str, str]) -> Series:
    return changed(one, lambda name, f: (names.get(name.partition("[")[0], name), f))


def in_year_cells(one: Series, cells: dict[str, tuple[str, int]]) -> Series:
    return changed(one, lambda n, f: (n, Figure(f.text, cells[n][1], cells[n][0]) if n in cells else f))


def european_union(one: Series) -> Series:
    return replace(
        one,
        figures={
            **dict(list(one.figures.items())[:1]),
            "European Union": Figure("19,000,000", int(one.year[:4])),
            **one.figures,
        },
    )


OLD = Layout(
    nested=True, heading=listed, rank=True, country_heading="Country", figure_heading="GDP (millions of US$)",
    sources_row=True, outer_class="", table_class="wikitable sortable",
)  # fmt: skip
FLAT = Layout(
    heading=plain, heading_rows=2, year_column=True, absent_spans=True, caption="GDP (million US$) by country"
)
ARCHIVED = "/web/20230902185326/https://en.wikipedia.org/wiki/"
TERRITORIES = {
    "Curaçao": "Curaçao (Netherlands)",
    "Hong Kong": "Hong Kong (China)",
    "Puerto Rico": "Puerto Rico (United States)",
}


def model_2005() -> Model:
    imf = european_union(without_absent(series("IMF", 2005)))
    prose = "<p>Figures of the International Monetary Fund.</p>"
    return Page(saved(2005), 11, [imf]), Layout(
        heading=lambda _name, _year: "GDP",
        rank=True,
        country_heading="Country",
        caption=None,
        table_class="",
        before=prose,
    )


def model_2006_to_2013() -> Model:
    columns = [series("IMF", 2009), series("World Bank", 2009), series("CIA", 2009, like="UN")]
    return Page(saved(2009), 12, [without_absent(one) for one in columns]), OLD


def model_2014_to_2017() -> Model:
    columns = [series("IMF", 2016), series("World Bank", 2016), series("UN", 2016)]
    keys = frozenset({"IMF", "World Bank", "UN"})
    return Page(saved(2016), 13, [without_absent(one) for one in columns]), replace(OLD, sort_keys=keys)


def model_2018() -> Model:
    imf = european_union(without_absent(series("IMF", 2017)))
    bank = with_figures(without_absent(series("World Bank", 2017)), Cuba=("77,460/Na", 2017))
    un = without_absent(series("UN", 2016))
    layout = replace(
        OLD, heading=per, figure_heading="GDP (US$MM)", outer_class="wikitable&quot;|}", sources_row=False,
        sort_keys=frozenset({"IMF", "UN"}), saved_by_browser=True, link=ARCHIVED,
    )  # fmt: skip
    return Page(saved(2018, 10), 14, [imf, bank, un]), layout


def model_2020() -> Model:
    imf = with_figures(without_absent(series("IMF", 2019, "2019 estimates")), Argentina=("574,905 (2017)", 2017))
    bank, un = without_absent(series("World Bank", 2018)), without_absent(series("UN", 2017))
    layout = replace(
        OLD,
        heading=per,
        figure_heading="GDP (US$million)",
        outer_class="wikitable",
        country_heading="Country/Territory",
    )
    return Page(saved(2020, 3), 15, [imf, bank, un]), layout


def model_early_2021() -> Model:
    imf = renamed(without_absent(series("IMF", 2020, "2020 estimates")), {**TERRITORIES, "Pakistan": "Pakistan (2019)"})
    imf = with_figures(imf, **{"Pakistan (2019)": ("263,000", 2019)})
    imf = replace(
        imf,
        figures={**imf.figures, "Micronesia, Federated States of (2018)": Figure("402", 2018), "Syria": Figure("N/A")},
    )
    del imf.figures["Micronesia"]
    layout = replace(
        OLD,
        heading=per,
        figure_heading="GDP (US$million)",
        outer_class="wikitable",
        country_heading="Country/Territory",
    )
    return Page(
        saved(2021, 3), 16, [imf, without_absent(series("World Bank", 2019)), without_absent(series("UN", 2018))]
    ), layout


def model_mid_2021() -> Model:
    columns = [series("IMF", 2021), series("UN", 2019), series("World Bank", 2020)]
    columns = [renamed(one, {"Cyprus": "Cyprus†", "Georgia": "Georgia†"}) for one in columns]
    layout = replace(
        FLAT, country_heading="Country (or territory)", regions=("Subregion", "Region"), figure_heading="GDP",
        absent="<td>N/A</td>", world_spans=True,
    )  # fmt: skip
    return Page(saved(2021), 17, columns), layout


def model_2022() -> Model:
    columns = [series("IMF", 2022), series("UN", 2020), series("World Bank", 2021)]
    return Page(saved(2022), 18, columns), replace(FLAT, regions=("UN Region",))


def model_2023() -> Model:
    imf = in_year_cells(series("IMF", 2023), {"China[n 1]": ("[n 1]2023", 2023), "Cuba": ("2020", 2020)})
    bank = in_year_cells(series("World Bank", 2022), {"China[n 1]": ("[n 3]2022", 2022), "Yemen": ("2020–22", 2022)})
    layout = replace(FLAT, regions=("UN region",), caption="GDP (USD million) by country", link=ARCHIVED)
    return Page(saved(2023), 19, [imf, bank, series("UN", 2021)]), layout


def model_2024() -> Model:
    imf = in_year_cells(series("IMF", 2025), dict.fromkeys(list(FACTS.series[0].figures)[40:160], ("2024", 2024)))
    return Page(saved(2025, 1), 20, [imf, series("World Bank", 2023), series("UN", 2022)]), replace(
        FLAT, figure_heading="Forecast"
    )


def model_mid_2025() -> Model:
    imf = with_figures(series("IMF", 2025), Brazil=("", 2025), Canada=("", 2025))
    columns = [imf, series("World Bank", 2024), series("UN", 2023)]
    return Page(saved(2025), 21, columns), replace(FLAT, caption="GDP forecast or estimate (million US$) by country")


def model_end_of_2025() -> Model:
    uncited = series("IMF", 2026, marks="[citation needed]")
    return Page(saved(2025, 12), 23, [uncited, series("IMF", 2025, marks="[6]"), series("World Bank", 2024)]), Layout()


def model_2026() -> Model:
    groups = "".join(
        f"<tr><td>{name}</td><td>{i + 1},000,000</td></tr>" for i, name in enumerate(["Asia", "Europe", "G7"])
    )
    second = f'<table class="wikitable sortable"><tr><th>Region</th><th>IMF<br />(2026)</th></tr>{groups}</table>'
    columns = [series("IMF", 2026, marks="[1]"), series("World Bank", 2025), series("UN", 2024)]
    columns = [renamed(one, {"Mexico": "Mexico[r 2]"}) for one in columns]
    return Page(saved(2026), 24, columns), Layout(after=second)


def facts_as(**how: object) -> Callable[[], Model]:
    return lambda: (FACTS, replace(Layout(), **how))  # type: ignore[arg-type]


def model_world_in_sequence() -> Model:
    columns = [replace(one, figures={**dict(list(one.figures.items())[1:9]), **one.figures}) for one in FACTS.series]
    return replace(FACTS, series=columns), Layout()


def model_in(separator: str, unit: str) -> Callable[[], Model]:
    def model() -> Model:
        def written(name: str, figure: Figure) -> tuple[str, Figure]:
            return name, replace(figure, text=figure.text.replace(",", separator))

        columns = [changed(one, written) for one in FACTS.series]
        return replace(FACTS, series=columns), Layout(caption=f"GDP ({unit} US$) by country")

    return model


def model_ranges() -> Model:
    columns = [series("IMF", 2024, "2022–24"), series("World Bank", 2024, "2023–2024"), series("UN", 2023)]
    return Page(saved(2025), 25, columns), Layout()


MODELS: dict[str, Callable[[], Model]] = {
    "2005": model_2005,
    "2006 to 2013": model_2006_to_2013,
    "2014 to 2017": model_2014_to_2017,
    "2018": model_2018,
    "2020": model_2020,
    "early 2021": model_early_2021,
    "mid 2021": model_mid_2021,
    "2022": model_2022,
    "2023": model_2023,
    "2024": model_2024,
    "mid 2025": model_mid_2025,
    "autumn 2025": lambda: (FACTS, Layout()),
    "end of 2025": model_end_of_2025,
    "2026": model_2026,
    "World in sequence": model_world_in_sequence,
    "a non-breaking space before names": facts_as(before_name="&nbsp;"),
    "links of a web archive": facts_as(link=ARCHIVED),
    "saved by a browser": facts_as(saved_by_browser=True),
    "only the table": facts_as(whole_page=False),
    "headings in td": facts_as(heading_tag="td"),
    "two heading rows in td": lambda: (model_2024()[0], replace(FLAT, heading_tag="td")),
    "one heading row with year columns": lambda: (model_2024()[0], replace(FLAT, heading_rows=1)),
    "inside other tables": facts_as(wrappers=3),
    "thin spaces": model_in("\u2009", "million"),
    "non-breaking spaces": model_in("\u00a0", "million"),
    "dots": model_in(".", "million"),
    "ranges of years": model_ranges,
}


def meant(page: Page) -> dict[tuple[str, str, int | None], tuple[str, float | None]]:
    """Return what a page means: by institution, country and year the cell's text, and billions of US dollars."""
    found = {}
    for one in page.series:
        for name, figure in one.figures.items():
            digits = re.sub(r"\(.*\)|/Na|\D", "", figure.text)
            billions = (int(digits) + 5) // 10 / 100 if digits else None
            found[one.institution, name, figure.year if digits else None] = (figure.text if digits else "", billions)
    return found


def read(page: Page, layout: Layout) -> dict[tuple[str, str, int | None], tuple[str, float | None]]:
    """Return what extract and the rules of transform make of a page, in the same form."""
    records = wikipedia.parse(build(page, layout).encode(), "a page", page.saved).records
    found = {}
    for record in records:
        outcome = clean(record)
        assert outcome.fate is not Fate.REJECTED, outcome.reason
        year = outcome.record["Year"] if outcome.record else None
        billions = outcome.record["GDP_USD_billion"] if outcome.record else None
        found[record["Institution"], record["Country"], year] = (record["GDP"] if outcome.record else "", billions)
    assert len({(r["Institution"], r["Country"], r["Column"]) for r in records}) == len(records)
    return found


@pytest.mark.parametrize("name", MODELS)
def test_every_figure_of_the_layout_is_read_with_its_institution_country_and_year(name: str) -> None:
    page, layout = MODELS[name]()
    got, want = read(page, layout), meant(page)
    blank = {key for key in got if not got[key][0]}  # every country is in every column, also if a model lacks it
    assert {key: value for key, value in got.items() if key in want or key not in blank} == want


def test_figures_in_billions_are_read_in_billions() -> None:
    def written(name: str, figure: Figure) -> tuple[str, Figure]:
        digits = figure.text.replace(",", "")
        return name, replace(figure, text=f"{int(digits) / 1000:,.3f}" if digits.isdigit() else figure.text)

    page = replace(FACTS, series=[changed(one, written) for one in FACTS.series])
    got = read(page, Layout(caption="GDP (billion US$) by country"))
    assert got["IMF", "United States", 2025] == ("30,615.743", 30615.74)
    assert got["IMF", "Tuvalu", 2025] == ("0.058", 0.06)


def test_the_uncited_column_for_the_coming_year_carries_a_note_and_the_cited_one_does_not() -> None:
    page, layout = model_end_of_2025()
    records = [clean(r).record for r in wikipedia.parse(build(page, layout).encode(), "a page").records]
    notes = {(r["Institution"], r["Year"]): r["Note"] for r in records if r}
    assert notes == {("IMF", 2026): "the page gives no source", ("IMF", 2025): None, ("World Bank", 2024): None}


ROW = re.compile(r"(<tr>\n<td.*?</td>)(.*?</tr>)", re.DOTALL)
OTHER_COLUMNS = [
    "Rank", "IMF rank", "IMF growth", "% of world", "Change", "GDP (PPP)", "IMF GDP per capita (2025)", "Population",
    "Continent", "OECD (2025)", "IMF revision date", "Debt (IMF)", "IMF (2025) in EUR", "IMF € million",
]  # fmt: skip


@pytest.mark.parametrize("heading", OTHER_COLUMNS)
def test_a_column_of_anything_else_beside_the_figures_is_not_read(heading: str) -> None:
    page = build(FACTS, Layout()).replace("Country/Territory\n</th>", f"Country/Territory\n</th><th>{heading}</th>")
    page = ROW.sub(r"\1<td>7</td>\2", page)
    assert (
        wikipedia.parse(page.encode(), "a page").records
        == wikipedia.parse(build(*MODELS["autumn 2025"]()).encode(), "a page").records
    )


def test_an_excerpt_on_the_same_page_is_dropped_and_counted() -> None:
    rows = "".join(f"<tr><td>{name}</td><td>1</td></tr>" for name in ("China", "Japan", "India"))
    ten = f'<table class="wikitable"><tr><th>Country</th><th>IMF (2025)</th></tr>{rows}</table>'
    reading = wikipedia.parse(build(FACTS, Layout(before=ten)).encode(), "a page")
    assert len(reading.records) == 666
    assert reading.dropped == {"column of an excerpt": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("IMF<br />(2025)", "IMF and World Bank"), "names IMF and World Bank"),
        (("Country/Territory", "Planet"), "0 countries under IMF"),
        (("IMF<br />(2025)", "IMF (2025), per capita"), "0 countries under IMF"),
        (("IMF<br />(2025)", "IMF (2025), million euro"), "0 countries under IMF"),
        (("million US$", "million Int$"), "0 countries under IMF"),
        (("GDP forecast or", "Real GDP forecast or"), "0 countries under IMF"),
        (("GDP forecast or", "GDP (PPP) forecast or"), "0 countries under IMF"),
        (("GDP_(nominal)", "GDP_(PPP)"), "not nominal GDP"),
    ],
)
def test_a_page_that_cannot_be_told_is_refused_with_the_reason(change: tuple[str, str], reason: str) -> None:
    page = build(FACTS, Layout()).replace(*change)
    with pytest.raises(Refused, match=re.escape(reason)):
        wikipedia.parse(page.encode(), "a page")


def test_a_year_column_that_contradicts_the_years_in_the_headings_is_refused() -> None:
    page = build(FACTS, Layout()).replace("Country/Territory", "Country/Territory\n</th><th>Year", 1)
    with pytest.raises(Refused, match="which belongs to which is unclear"):
        wikipedia.parse(ROW.sub(r"\1<td>2025</td>\2", page).encode(), "a page")


def test_a_line_break_or_a_raised_number_joins_no_words() -> None:
    page = (
        build(FACTS, Layout())
        .replace("World Bank<br />", "World<br />Bank<br />")
        .replace(">United States<", ">United<br/>States<")
    )
    page = page.replace("19,398,577\n", "19,398,577<sup>1</sup>\n")
    records = wikipedia.parse(page.encode(), "a page").records
    assert {r["Institution"] for r in records} == {"IMF", "World Bank", "UN"}
    assert records[3]["Country"] == "United States"
    assert next(r["GDP"] for r in records if r["Country"].startswith("China")) == "19,398,577¹"


def test_a_column_of_figures_that_is_not_understood_is_named() -> None:
    page = build(FACTS, Layout()).replace("World Bank<br />", "Somebody else<br />")
    assert wikipedia.parse(page.encode(), "a page").dropped == {
        "column of figures not understood: 'Somebody else(2024)[7]'": 1
    }


def test_the_footer_shows_when_a_page_was_saved_and_the_future_is_refused() -> None:
    page = build(FACTS, Layout(before="<p>The data was last edited on 5 March 2025, at 10:00.</p>"))
    revision = wikipedia.parse(page.encode(), "a page").revision
    assert revision and revision.saved == FACTS.saved
    with pytest.raises(Refused, match="which is in the future"):
        wikipedia.parse(page.replace("December 2025", "December 2125").encode(), "a page")


def test_years_that_could_belong_to_either_column_are_refused() -> None:
    page = build(FACTS, Layout(heading=plain))
    row = re.compile(r"(<tr>\n<td.*?)(</tr>)", re.DOTALL)
    page = row.sub(r"\1<td>2025</td>\2", page.replace("[8]</a></sup>\n", "[8]</a></sup></th><th>Year\n"))
    page = page.replace("(2025)", "").replace("(2024)", "")
    with pytest.raises(Refused, match="which belongs to which is unclear"):
        wikipedia.parse(page.encode(), "a page")


@pytest.mark.parametrize("rows", [3, 30])
def test_rows_of_another_width_are_rejected_and_many_of_them_refuse_the_page(rows: int) -> None:
    page = build(FACTS, Layout())
    for country in list(FACTS.series[0].figures)[60 : 60 + rows]:
        page = page.replace(f">{country.partition('[')[0]}</a>", f">{country}</a></td><td>x", 1)
    if rows == 30:
        with pytest.raises(Refused, match="30 of 222 rows"):
            wikipedia.parse(page.encode(), "a page")
    else:
        dropped = wikipedia.parse(page.encode(), "a page").dropped
        assert dropped == {f"row of another width: {name!r}": 1 for name in ("Kuwait", "Morocco", "Slovakia")}
