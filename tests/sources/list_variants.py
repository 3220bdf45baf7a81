"""Edits of the list as a whole: texts over it, tables beside it, cells and rows, each with what a person would read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from tests.sources.variants import ALL_BUT, PAGE, READ, REFUSED, ROW, Variant, before_table, cell

CAPTION = "GDP forecast or estimate (million US$) by country"
TABLE = PAGE[PAGE.index("<table") : PAGE.index("</table>") + len("</table>")]
ROWS = ROW.findall(PAGE)
NAMES = [re.findall(r'"x">([^<]+)<', row)[0] for row in ROWS]
FIGURES = [(name, int(found[1].replace(",", ""))) for name, row in zip(NAMES, ROWS, strict=True)
           if (found := re.search(r"<td>([\d,]+)\n", row))]  # fmt: skip
MISSING = "some missing"  # figures that belong to nobody are dropped, and no other is wrong

Edit = Callable[[str], str]

# --- texts over the list ----------------------------------------------------------------------------------------------

OTHER_MONEY = (
    "GDP (million A$) by country", "GDP (million C$) by country", "GDP (CAD million)", "GDP (CHF, millions)",
    "GDP in millions of Swiss francs", "GDP (million SDR)", "GDP (million PPS)",
    "GDP in Geary–Khamis dollars (millions)", "GDP (millions of international dollars)",
    "GDP (national currency, millions)", "GDP (local currency units, million)", "GDP (LCU million)",
    "GDP (million 2015 US$)", "GDP (million US$, 2015 prices)", "GDP (millions of 1990 dollars)",
    "GDP (constant US$, million)", "GDP (million US$, real)", "GDP volume (million US$)",
    "GDP, chain-linked (million US$)", "GDP deflated (million US$)", "GDP (million euros)", "GDP (EUR million)",
    "GDP (million €)", "GDP (£ million)", "GDP (million yen)", "GDP (¥ million)", "GDP (RMB million)",
    "GDP (CNY, million)", "GDP (₹ crore)", "GDP (million rupees)", "GDP (million rubles)", "GDP (₽ million)",
    "GDP (million pesos)", "GDP (R$ million)", "GDP (million won)", "GDP (₩ million)", "GDP (million Int$)",
    "GDP (PPP, million US$)", "GDP in purchasing power standards", "GDP (NT$ million)", "GDP (HK$ million)",
    "GDP (S$ million)", "GDP (NZ$ million)", "GDP (million Canadian dollars)",
    "GDP (million Australian dollars)", "GDP (troy ounces of gold)", "GDP (bitcoin, million)",
    "GDP (index, 2015 = 100)", "GDP per capita (US$)", "GDP (hundred millions of US$)", "GDP (bil. US$)",
    "GDP (lakh crore)", "GDP at basic prices (million US$)", "GDP at factor cost (million US$)",
    "GDP (US$ million, inflation adjusted)", "GDP (million US$ of 2010)", "Nominal GDP in constant dollars",
    "GDP (million US$), base year 2015", "GDP (million US$ at 2017 exchange rates)",
    "GDP (million US$, seasonally adjusted)", "GDP, annualised (million US$)",
    "GDP (million US dollars, volume terms)", "GDP (Mrd. US$)", "GDP (m€)", "GDP (kr million)",
    "GDP (DKK million)", "GDP (zł million)", "GDP in krona", "GDP in dinars", "GDP (million dirhams)",
    "GDP (million US$ PPP-adjusted)", "GDP (million Hong Kong dollars)", "GDP (million Liberian dollars)",
    "GDP (million XDR)", "GDP (million USD PPP)", "GDP (million US$ in 2021 purchasing power)",
    "GDP at 2010 prices", "GDP (2011 int. $)", "GDP (GK$ million)", "GDP (millions of US$, Atlas method)",
    "GDP (US$ 10 million)", "GDP (US$ thousand million)", "GDP (US$ '000)",
)  # fmt: skip
OTHER_QUANTITIES = (
    "Household consumption (million US$)", "Gross value added (million US$)", "Total wealth (million US$)",
    "GDP in 2050 (million US$)", "Government revenue (million US$)", "Exports (million US$)",
    "Imports of goods (million US$)", "Foreign exchange reserves (million US$)",
    "Military expenditure (million US$)", "Gross national income (million US$)", "Gross output (million US$)",
    "Industrial production (million US$)", "Net worth (million US$)", "Investment (million US$)",
    "Remittances (million US$)", "Budget (million US$)", "Tax revenue (million US$)",
    "Stock of FDI (million US$)", "Market capitalisation (million US$)", "Public debt (million US$)",
    "Final consumption (million US$)", "GDP of agriculture (million US$)", "Manufacturing value (million US$)",
    "Services (million US$)", "GDP growth (million US$)", "Change in GDP (million US$)", "GDP per hour (US$)",
    "GDP share", "GDP deflator", "Quarterly GDP (million US$)", "GDP, first half of 2025 (million US$)",
    "Non-oil GDP (million US$)", "Potential GDP (million US$)", "Green GDP (million US$)",
    "Gross national product (million US$)", "Net domestic product (million US$)",
    "Gross fixed capital formation (million US$)", "Current account (million US$)",
    "Trade balance (million US$)", "Gold reserves (million US$)", "Household wealth (million US$)",
    "Domestic demand (million US$)", "GDP loss (million US$)", "GDP gap (million US$)", "GDP in 2100",
    "GDP projected for 2040 (million US$)", "Money supply (million US$)", "Health spending (million US$)",
    "Carbon emissions (tonnes)", "Population", "Gross regional product (million US$)",
    "GDP (nominal) of cities (million US$)", "GDP of companies", "Revenue of companies (million US$)",
    "Largest companies", "Market value (US$ million), against IMF 2022",
)  # fmt: skip
HONEST = (
    "Top 10 by GDP (million US$)", "GDP of 195 countries (million US$)", "Comparison of IMF and World Bank estimates",
    "Countries by nominal GDP ▲▼", "2012 List by the CIA World Factbook", "GDP (US$million)", "Estimate (US$ million)",
    "GDP (US$ million) by country", "GDP (USD million) by country", "GDP (million US$) by country",
    "GDP in millions of US dollars", "Nominal GDP (millions of U.S. dollars)",
    "List of countries by GDP (nominal), millions of US$", "Gross domestic product (current US$, millions)",
    "GDP at current prices (million US$)", "GDP (nominal) in millions of United States dollars, 2025",
    "Countries by nominal GDP in 2025 (US$ million)", "GDP, current prices, in million USD (IMF, October 2025)",
    "GDP estimates for 2025 by the IMF, World Bank and United Nations (million US$)", "GDP (mn US$)",
    "GDP (US$ mn) per country", "GDP by country in million US$, latest available year", "GDP (in millions USD)",
    "Nominal GDP by country/territory (US$ millions)", "GDP at market exchange rates (million US$)",
    "GDP at official exchange rates, US$ million", "Countries by GDP (nominal)[1][2]", "GDP ($ million)",
    "GDP (US$MM)", "Table of GDP (million US$)", "Data updated on 14 October 2025", "2025 GDP (million US$)",
    "Per the International Monetary Fund (2017)", "List by the CIA World Factbook (2012)",
    "International Monetary Fund (2020 estimates)", "United Nations (2017)", "GDP(US$MM)",
    "Int. Monetary Fund (2025)", "I.M.F. (2025)", "IMF WEO 2025", "Lists", "Tables", "A–C", "D", "IMF (FY25)",
    "GDP (million US$) by country, 2024 or latest available",
)  # fmt: skip


def in_outer_table(title: str) -> Edit:
    """Return an edit that puts the list in a layout table, under a title."""
    around = f'<table class="wikitable"><tr><td><b>{title}</b></td></tr><tr><td>{TABLE}</td></tr></table>'
    return lambda page: page.replace(TABLE, around)


PLACES: dict[str, Callable[[str], Edit]] = {
    "caption": lambda text: lambda page: page.replace(CAPTION, text),
    "section": lambda text: before_table(f"<h2>{text}</h2>"),
    "subsection": lambda text: before_table(f"<h2>Table</h2><h3><span class='mw-headline'>{text}</span></h3>"),
    "row across": lambda text: lambda page: page.replace("<tbody>", f"<tbody><tr><th colspan=4>{text}</th></tr>", 1),
    "outer title": in_outer_table,
    "column": lambda text: lambda page: page.replace("IMF<br />(2025)", f"IMF<br />(2025)<br />{text}"),
}

# --- tables beside the list -------------------------------------------------------------------------------------------


def scaled(factor: float, number: int | None = None, more: int = 0) -> list[tuple[str, str]]:
    """Return the IMF's figures times a factor, of the first countries, and of some territories more."""
    found = [(name, f"{int(million * factor):,}") for name, million in FIGURES[:number]]
    return found + [(f"Territory {number}", f"{number + 10:,}") for number in range(more)]


def edited(every: int) -> list[tuple[str, str]]:
    """Return the IMF's figures, one in so many of them doubled."""
    doubled = scaled(2)
    return [doubled[place] if place % every == 1 else one for place, one in enumerate(scaled(1))]


def named(*names: str) -> list[tuple[str, str]]:
    return [(name, f"{3_000_000 + number:,}") for number, name in enumerate(names)]


def table(caption: str, heading: str, rows: Iterable[tuple[str, str]], country: str = "Country") -> str:
    cells = "".join(f"<tr><td>{name}</td><td>{figure}</td></tr>" for name, figure in rows)
    head = f"<tr><th>{country}</th><th>{heading}</th></tr>"
    return f'<table class="wikitable"><caption>{caption}</caption><tbody>{head}{cells}</tbody></table>'


def behind_list(text: str) -> Edit:
    return lambda page: page.replace("<footer>", f"{text}<footer>")


def without_headings(number: int) -> Edit:
    """Return an edit that moves the last rows into a table without headings."""

    def edit(page: str) -> str:
        rows = ROWS[-number:]
        page = page[: page.index(rows[0])] + page[page.index(rows[-1]) + len(rows[-1]) :]
        return behind_list(f'<table class="wikitable"><tbody>{"".join(rows)}</tbody></table>')(page)

    return edit


def beside(*names: str, country: str) -> Edit:
    """Return an edit that adds a table of these names."""
    return behind_list(table("GDP (million US$)", "IMF (2025)", named(*names), country))


LONGER = {"more": 30}
CONSUMPTION = table("Household consumption (million US$)", "IMF (2025)", scaled(0.6, **LONGER))
REVENUE = table("", "IMF (2025)", scaled(0.3, **LONGER))
NO_YEAR = table("GDP (million US$)", "IMF", scaled(0.95, **LONGER))
YEAR_COLUMN = "".join(f"<tr><td>{name}</td><td>{figure}</td><td>2024</td></tr>" for name, figure in scaled(0.95))
TABLES: dict[str, tuple[str, Edit]] = {
    "consumption behind": (READ, behind_list(CONSUMPTION)),
    "consumption before": (READ, before_table(CONSUMPTION)),
    "revenue by its section": (
        READ, before_table(f"<h2>Government revenue</h2>{REVENUE}<h2>Table</h2>")
    ),
    "last year behind": (READ, behind_list(table("GDP (million US$), 2024", "IMF (2024)", scaled(0.95, **LONGER)))),
    "last year before": (READ, before_table(table("GDP (million US$), 2024", "IMF (2024)", scaled(0.95, **LONGER)))),
    "last year by its section": (READ, behind_list(f"<h2>2024</h2>{NO_YEAR}")),
    "last year by its year column": (
        READ, behind_list(f"<table><tr><th>Country</th><th>IMF estimate</th><th>Year</th></tr>{YEAR_COLUMN}</table>")
    ),
    "next year": (READ, behind_list(table("GDP (million US$), 2026", "IMF (2026)", scaled(1.05, **LONGER)))),
    "the year 1990": (READ, behind_list(table("GDP (million US$), 1990", "IMF (1990)", scaled(0.2, **LONGER)))),
    "other figures of the same year": (REFUSED, behind_list(table("GDP (million US$)", "IMF (2025)", scaled(0.9)))),
    "other figures of no year": (REFUSED, before_table(table("GDP (million US$)", "IMF", scaled(0.9, **LONGER)))),
    "an excerpt": (READ, before_table(table("Top 10 by GDP (million US$)", "IMF (2025)", scaled(1, 10)))),
    "an outdated excerpt": (READ, before_table(table("Top 10 by GDP (million US$)", "IMF (2025)", scaled(0.97, 10)))),
    "a copy": (READ, behind_list(TABLE)),
    "a copy, one figure in twenty changed": (READ, behind_list(table("GDP (million US$)", "IMF (2025)", edited(20)))),
    "a copy, one figure in five changed": (REFUSED, behind_list(table("GDP (million US$)", "IMF (2025)", edited(5)))),
    "companies": (READ, beside("Apple", "Microsoft", "Nvidia", "Tesla", "TSMC", country="Name")),
    "states": (READ, beside("California", "Texas", "New York", "Georgia", country="State")),
    "cities": (READ, beside("Tokyo", "Paris", "London", "Osaka", country="Place")),
    "groups": (READ, beside("ASEAN", "BRICS", "G7", "African Union", country="Economy")),
    "purchasing power before": (
        READ, before_table(f"<h2>PPP</h2>{table('GDP (PPP)', 'IMF (2025)', scaled(2.3, **LONGER))}<h2>Nominal</h2>")
    ),
    "5 rows without headings": (READ, without_headings(5)), "60 rows without headings": (READ, without_headings(60)),
}  # fmt: skip

# --- cells and rows ---------------------------------------------------------------------------------------------------

TWO_VALUES = (
    "58<br>123", "58&nbsp;<br>&nbsp;123", "<ul><li>58</li><li>123</li></ul>", "<p>58</p><p>123</p>",
    "<div>58</div><div>123</div>", "<dl><dd>58</dd><dd>123</dd></dl>", "58<hr>123", "58<sup>123</sup>",
    "58<span style='vertical-align:super'>123</span>", "58<span style='display:block'>123</span>",
    "58<a href='#cite_note-5'>123</a>", "58<a href='/wiki/x'>123</a>", "58<small>123</small>", "58<i>123</i>",
    "58<mark>123</mark>", "58<ruby>1<rt>2</rt></ruby>", "58<table><tr><td>123</td></tr></table>", "4,125<br>213",
    "<svg><text>9</text></svg>4,125,213",
)  # fmt: skip
ONE_VALUE = (
    "4125213<font size='-1'>1</font>", "4125213<font size=1>1</font>", "4125213<sup>1</sup>", "4125213<small>2</small>",
    "4125213<span style='font-size:70%'>2</span>", "4125213<sub>1</sub>", "<sup>1</sup>4,125,213",
    "<big>4,125,213</big>",
    "<span hidden>9</span>4,125,213", "<span style='visibility:collapse'>9</span>4,125,213",
    "<span style='opacity:0'>9</span>4,125,213", "4,&#8205;125,213", "4,&shy;125,213", "&lrm;4,125,213&rlm;",
    "4,125,213&#27;", "4,<wbr>125,<wbr>213", "4,125<!-- x -->,213", "4,125,213<br><small>(2025)</small>",
    "<b><a href='/wiki/x'>4,125,213</a></b>", "<img alt='9'>4,125,213",
)  # fmt: skip
RAISED = ("<sup>1</sup>", "<font size=1>1</font>", "<small>2</small>", "<span style='vertical-align:super'>3</span>",
          "<a href='#cite_note-7'>7</a>", "<sup><a href='#x'>12</a></sup>")  # fmt: skip
INVISIBLE = (
    "&shy;",
    "&#8203;",
    "&#8204;",
    "&#8205;",
    "&lrm;",
    "&rlm;",
    "&#8288;",
    "&#65279;",
    "&#8238;",
    "&#27;",
    "<wbr>",
)
HIDING = (
    "hidden",
    "style='visibility:collapse'",
    "style='display:none'",
    "class='navbox'",
    "style='VISIBILITY: Collapse'",
)
CUBA = "<td>Cuba</td><td>999,999</td><td>999,999</td><td>999,999</td>"


def figure_of_two_countries(page: str) -> str:
    india = NAMES.index("India")
    below = re.sub(r"<td>[\d,]+\n</td>\n", "", ROWS[india + 1], count=1)
    return page.replace("<td>4,125,213", '<td rowspan="2">4,125,213').replace(ROWS[india + 1], below)


def figure_of_two_institutions(page: str) -> str:
    india = ROWS[NAMES.index("India")]
    first, _, third = re.findall(r"<td>.*?</td>", india, re.DOTALL)
    begin = india[: india.index(first)]
    return page.replace(india, f"{begin}{first.replace('<td>', '<td colspan=2>')}{third}</tr>")


def of_the_list() -> list[Variant]:
    """Return the variants of tables, cells and rows."""
    found = [Variant(name, edit(PAGE), expected) for name, (expected, edit) in TABLES.items()]
    found += [Variant(f"two values: {text}", cell(text)(PAGE), ALL_BUT) for text in TWO_VALUES]
    found += [Variant(f"one value: {text}", cell(text)(PAGE), READ) for text in ONE_VALUE]
    for mark in RAISED:
        page = re.sub(r"<td>(\d{2,3})\n", rf"<td>\1{mark}\n", PAGE)
        found.append(Variant(f"small figures with {mark}", page, READ))
    for character in INVISIBLE:
        page = re.sub(r'"x">(\w\w)(\w+)', rf'"x">\1{character}\2', PAGE)
        found.append(Variant(f"names with {character}", page, READ))
    for hiding in HIDING:
        found.append(
            Variant(f"a row with {hiding}", PAGE.replace("</tbody>", f"<tr {hiding}>{CUBA}</tr></tbody>"), READ)
        )
    hidden_part = f"</tbody><tbody hidden><tr>{CUBA}</tr></tbody>"
    found.append(Variant("a hidden part of the table", PAGE.replace("</tbody>", hidden_part), READ))
    found.append(Variant("a figure of two countries", figure_of_two_countries(PAGE), MISSING))
    found.append(Variant("a figure of two institutions", figure_of_two_institutions(PAGE), MISSING))
    return found
