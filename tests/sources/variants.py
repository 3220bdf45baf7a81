"""What editors, tools and browsers make of the page: each variant with what a person would read in it.

Every edit is made to the page that ships. READ: all figures as they were. ALL_BUT: one country's cell is set aside or
doubted, the rest as it was. REFUSED: no list of ours any more.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from typing import NamedTuple

from tests.page_builder import SHIPPED

PAGE = gzip.decompress(SHIPPED.read_bytes()).decode()
# Without what says which page it is: then only its tables can tell.
BARE = re.sub(r"<title>.*?</script>", "", PAGE, flags=re.DOTALL)
READ, ALL_BUT, REFUSED = "read", "all but one", "refused"
INDIA = "4,125,213"  # the cell that single edits change
ROW = re.compile(r"<tr>\n<td.*?</tr>", re.DOTALL)
HEAD = PAGE[PAGE.index("<tbody>") : PAGE.index("</th></tr>") + len("</th></tr>")]


class Variant(NamedTuple):
    """A page that somebody may have made, and what a reader finds in it."""

    name: str
    page: str
    expected: str


def cell(text: str) -> Callable[[str], str]:
    """Return an edit of India's cell under the IMF."""
    return lambda page: page.replace(f"<td>{INDIA}\n", f"<td>{text}\n", 1)


def every_cell(before: str = "", behind: str = "") -> Callable[[str], str]:
    """Return an edit of every figure."""
    return lambda page: re.sub(r"<td>([\d,]+)( \(\d{4}\))?\n", rf"<td>{before}\1\2{behind}\n", page)


def heading(old: str, new: str) -> Callable[[str], str]:
    return lambda page: page.replace(old, new)


def rows_changed(change: Callable[[list[str]], list[str]]) -> Callable[[str], str]:
    def edit(page: str) -> str:
        rows = ROW.findall(page)
        first, last = page.index(rows[0]), page.index(rows[-1]) + len(rows[-1])
        return page[:first] + "\n".join(change(rows)) + page[last:]

    return edit


def two_tables(number: int, caption: str = "Territories", title: str = "") -> Callable[[str], str]:
    """Return an edit that moves the last rows into a table of their own, under the same headings."""

    def edit(page: str) -> str:
        rows = ROW.findall(page)
        moved = "\n".join(rows[-number:])
        page = page[: page.index(rows[-number])] + page[page.index(rows[-1]) + len(rows[-1]) :]
        table = f'{title}<table class="wikitable"><caption>{caption}</caption>{HEAD}{moved}</tbody></table>'
        return page.replace("<footer>", f"{table}<footer>")

    return edit


def before_table(text: str) -> Callable[[str], str]:
    return lambda page: page.replace("<table", f"{text}<table", 1)


def behind(text: str) -> Callable[[str], str]:
    """Return an edit that puts the whole table once more behind the article, in a text that has {} for its rows."""
    return lambda page: page.replace("<footer>", f"{text.format(HEAD + ''.join(ROW.findall(page)))}<footer>")


def group(name: str) -> str:
    return f"<tr><td>{name}</td><td>20,000,000</td><td>19,000,000</td><td>18,000,000</td></tr>"


def first_column(name: str) -> Callable[[str], str]:
    return heading("Country/Territory", name)


def column_beside(title: str, text: str) -> Callable[[str], str]:
    """Return an edit that puts a column of texts behind the countries."""

    def edit(page: str) -> str:
        page = page.replace("Country/Territory\n</th>", f"Country/Territory\n</th><th>{title}</th>")
        return re.sub(r'(<td style="text-align:left">.*?</td>)', rf"\1<td>{text}</td>", page)

    return edit


def under_headings(*cells: str) -> Callable[[str], str]:
    row = "<tr>" + "".join(f"<td>{text}</td>" for text in cells) + "</tr>"
    return lambda page: page.replace(HEAD, HEAD + row)


MARKS = {
    "a figure with a dollar sign": "$4,125,213", "with US$": "US$4,125,213", "with US$ and a space": "US$ 4,125,213",
    "about": "~4,125,213", "approximately": "≈4,125,213", "circa": "c. 4,125,213", "an arrow up": "▲4,125,213",
    "an arrow down and a space": "▼ 4,125,213", "an arrow behind": "4,125,213 ▲", "est.": "4,125,213 est.",
    "est. in brackets": "4,125,213 (est.)", "an e in brackets": "4,125,213 (e)", "an e behind": "4,125,213e",
    "a share behind": "4,125,213 (3.5%)", "a rank behind": "4,125,213 (5th)", "a number in brackets": "4,125,213 (5)",
    "a raised mark": "4,125,213<sup>1</sup>", "a raised letter": "4,125,213<sup>a</sup>", "a dagger": "4,125,213†",
    "an asterisk": "4,125,213*", "a footnote": "4,125,213<sup>[n 2]</sup>", "two footnotes": "4,125,213[n 1][n 2]",
    "thin spaces": "4\u2009125\u2009213", "non-breaking spaces": "4&#160;125&#160;213", "plain digits": "4125213",
    "dots": "4.125.213", "full-width digits": "４,１２５,２１３", "apostrophes": "4’125’213", "bold": "<b>4,125,213</b>",
    "a link": '<a href="/wiki/x">4,125,213</a>', "a span": "<span>4,125,213</span>", "small": "<small>4,125,213</small>",
    "a small footnote digit": "4,125,213<small>1</small>", "a hidden sort key": '<span style="display:none">07</span>4,125,213',
    "a raised span": '4,125,213<span style="vertical-align:super">1</span>', "its year": "4,125,213 (2025)",
    "a linked footnote digit": '4,125,213<a href="#cite_note-1">1</a>', "a no-wrap template": "<span class='nowrap'>4,125,213</span>",
    "a comment": "4,125,213<!-- IMF -->", "a trailing non-breaking space": "4,125,213&#160;", "decimals": "4,125,213.0",
    "screen reader's words": '4,125,213<span class="sr-only">million</span>', "a needs update": "4,125,213[needs update]",
}  # fmt: skip
SET_ASIDE = {
    "a digit stuck to it": "4,125,2131", "Indian grouping": "41,25,213", "a comma too few": "4125,213", "a word": "soon",
    "a negative": "−4,125,213", "a range": "4,100,000–4,200,000", "more than": ">4,000,000", "euros": "€4,125,213",
    "pounds": "£4,125,213", "international dollars": "Int$4,125,213", "a citation needed": "4,125,213[citation needed]",
    "a dubious": "4,125,213[dubious – discuss]", "a disputed": "4,125,213[disputed]", "two figures": "4,125,213 4,200,000",
    "another unit": "4.1 trillion", "a figure cut by a note": "4,125[1],213", "N/A": "N/A", "a dash": "—",
    "an unreliable source": "4,125,213[unreliable source?]", "a failed verification": "4,125,213[failed verification]",
}  # fmt: skip
MORE_MARKS = {
    "USD behind": "4,125,213 USD",
    "US$ behind": "4,125,213 US$",
    "million behind": "4,125,213 million",
    "mn": "4,125,213 mn",
    "an index span": '4,125,213<span class="superscript">1</span>',
    "a sup class": '4,125,213<span class="sup">1</span>',
    "reference class": '4,125,213<span class="reference">1</span>',
    "a reference": '4,125,213<sup class="reference" id="cite_ref-3"><a href="#cite_note-3">[3]</a></sup>',
    "a ref without brackets": '4,125,213<sup class="reference"><a href="#cite_note-3">3</a></sup>',
    "double dagger": "4,125,213‡",
    "section mark": "4,125,213§",
    "two asterisks": "4,125,213**",
    "an em": "<i>4,125,213</i>",
    "a font": '<font color="green">4,125,213</font>',
    "a tt": "<code>4,125,213</code>",
    "narrow nbsp": "4&#8239;125&#8239;213",
    "an abbr": '<abbr title="x">4,125,213</abbr>',
    "an increase template": '<span typeof="mw:File"><span title="Increase"><img alt="Increase" src="x"/></span></span> 4,125,213',
    "sort key visible class": '<span class="sortkey">4125213 </span>4,125,213',
    "a zero width space": "4,125,213&#8203;",
    "a soft hyphen": "4,125,213&#173;",
    "a bidi mark": "&#8206;4,125,213",
    "projected": "4,125,213 (proj.)",
    "p": "4,125,213p",
    "f": "4,125,213 f",
    "a nowrap val": '4<span style="margin-left:.25em">125</span><span style="margin-left:.25em">213</span>',
    "a div": "<div>4,125,213</div>",
    "two lines": "4,125,213<br/>(2025)",
    "a line of share": "4,125,213<br/>3.5%",
    "a leading zero": "04,125,213",
    "two decimals": "4,125,213.45",
    "circa word": "circa 4,125,213",
    "approx.": "approx. 4,125,213",
    "about word": "about 4,125,213",
    "tilde and dollar": "~$4,125,213",
    "dollar behind": "4,125,213$",
    "US dollars": "4,125,213 US dollars",
    "a link to note plain": '4,125,213<a href="#n">1</a>',
    "strike": "<s>4,000,000</s> 4,125,213",
    "del": "<del>4,000,000</del> 4,125,213",
    "ins": "<ins>4,125,213</ins>",
    "a when": "4,125,213[when?]",
    "a page needed": "4,125,213[page needed]",
    "clarification": "4,125,213[clarification needed]",
    "by whom": "4,125,213[according to whom?]",
    "dead link": "4,125,213[dead link]",
}
MORE_SET_ASIDE = {
    "a comma of another script": "4٬125٬213",
    "Arabic digits": "٤٬١٢٥٬٢١٣",
    "in brackets": "(4,125,213)",
    "as of": "4,125,213 (as of 2025)",
    "a year without brackets": "4,125,213 2025",
    "a plus": "+4,125,213",
    "a trailing comma": "4,125,213,",
    "a trailing dot": "4,125,213.",
    "billion": "4,125.213 billion",
    "bn": "4,125bn",
    "trillions": "$4.125 trillion",
    "a question mark": "4,125,213?",
    "unknown": "unknown",
    "a colon": "4:125:213",
    "a percent": "12.5%",
    "scientific": "4.125e6",
    "hex": "0x3EF",
    "half": "½",
    "no data": "No data",
    "n.a.": "n.a.",
    "dots only": "...",
    "blank": "",
    "two dashes": "--",
    "a date": "2025-12-30",
    "zero": "0",
    "less than": "&lt;4,125,213",
    "self-published": "4,125,213[self-published source?]",
    "better source": "4,125,213[better source needed]",
    "original research": "4,125,213[original research?]",
    "sources needed": "4,125,213[sources needed]",
    "verification needed": "4,125,213[verification needed]",
    "AI-generated": "4,125,213[AI-generated?]",
    "unsourced": "4,125,213[unsourced]",
}
FIRST_COLUMNS = ("Country", "Country or territory", "Nation", "Economy", "Sovereign state", "Territory", "Name", "State",
                 "Location", "Countries", "Country (or dependent territory)", "Country/Economy", "Country [a]", "Member country", "Entity",
                 "Jurisdiction", "Dependency", "Area", "Place", "Country or region", "Countries/Regions", "COUNTRY/TERRITORY",
                 "Country<br>/Territory", "Country&nbsp;/ territory")  # fmt: skip
OTHER_QUANTITIES = (
    "GDP (PPP) in millions of Int$ by country", "Purchasing power parity, millions, by country", "Real GDP by country",
    "GDP at constant prices (million US$) by country", "GDP (constant 2015 US$, millions)", "GNI (million US$) by country",
    "Gross national income by country", "GNP (million US$)", "GDP per capita (US$)", "GDP per head", "GDP per person",
    "External debt (million US$) by country", "GDP growth by country", "Informal economy by country",
)  # fmt: skip
OTHER_PAGES = (
    "List_of_countries_by_GDP_(PPP)", "List_of_countries_by_GDP_(nominal)_per_capita", "List_of_countries_by_external_debt",
    "List_of_countries_by_past_and_projected_GDP_(nominal)", "List_of_countries_by_GNI_(nominal)_per_capita",
    "List_of_African_countries_by_GDP_(nominal)", "List_of_countries_by_largest_historical_GDP",
    "List_of_countries_by_GDP_sector_composition", "List_of_countries_by_informal_economy", "Economy_of_India",
)  # fmt: skip
YEARS = ("IMF<br />(2025 est.)", "IMF<br />(2025e)", "IMF<br />(FY2025)", "IMF<br />(FY25)", "IMF<br />('25)", "IMF 2025",
         "IMF, 2025", "International Monetary Fund (2025)", "IMF estimate (2025)", "IMF forecast 2025", "2025 IMF",
         "IMF<br />(2025)[a]", "IMF[1]<br />(2025)", "IMF (Oct 2025) 2025", "IMF (2025, October WEO)", "IMF WEO 2025",
         "The IMF (2025)", "Int. Monetary Fund (2025)", "I.M.F. (2025)", "IMF – 2025", "IMF/2025", "GDP 2025 (IMF)",
         "Estimate (IMF, 2025)", "IMF nominal GDP (2025)", "imf (2025)", "<a href='/wiki/IMF'>IMF</a> (2025)",
         "IMF (2025, WEO April 2024)")  # fmt: skip
NAMES = {"a rank before it": "5 India", "a ranked name": "5. India", "a code behind it": "India (IND)",
         "a code before it": "IND India", "a footnote": "India[n 3]", "an asterisk": "India*", "a dagger": "India †",
         "a raised digit": "India<sup>1</sup>", "bold": "<b>India</b>", "its long name": "Republic of India",
         "its kind behind it": "India (country)", "capitals": "INDIA", "a flag": "🇮🇳 India", "a numbered rank": "#5 India",
         "a comma behind it": "India,", "a small note": "India<small>[n]</small>", "an arrow": "India ▲"}  # fmt: skip

_OURS = '<html><head><script>"wgPageName":"List_of_countries_by_GDP_(nominal)"</script></head><body>'
# What may be at the list's address instead of it, by the name that the refusal gives it.
IN_ITS_PLACE = {
    "a disambiguation page": f'{_OURS}<p>It may refer to:</p><div id="disambigbox" class="dmbox">x</div></body></html>',
    "a redirect": f'{_OURS}<div class="redirectMsg"><p>Redirect to:</p></div></body></html>',
    "a page that does not exist": f'{_OURS}<div class="noarticletext">There is no such article.</div></body></html>',
    "a form to edit the article": f'{_OURS}<textarea id="wpTextbox1">{{| class="wikitable"</textarea></body></html>',
    "history": f'{_OURS}<ul id="pagehistory"><li>x</li></ul></body></html>',
    "comparison of two": f'{_OURS}<table class="diff diff-contentalign-left"><tr><td>x</td></tr></table></body></html>',
    "a page to log in": "<html><body><form>Log in<input type='password' name='wpPassword'></form></body></html>",
    "Log in": "<html><head><title>Log in - Wikipedia</title></head><body></body></html>",
    "a check for a human reader": "<html><head><title>Just a moment...</title></head><body></body></html>",
    "an error of the server": "<html><head><title>Wikimedia Error</title></head><body></body></html>",
    "wikitext": '{| class="wikitable"\n! Country\n! IMF\n|}',
    "a PDF": "%PDF-1.7 binary",
    "missingtitle": '{"error":{"code":"missingtitle"}}',
}


def all_marks() -> str:
    """Return a page with each of the edited cells in a row of its own."""
    texts = iter({**MARKS, **MORE_MARKS, **SET_ASIDE, **MORE_SET_ASIDE}.values())
    return re.sub(r"<td>[\d,]+\n", lambda figure: f"<td>{next(texts, figure[0][4:])}\n", PAGE)


def every() -> list[Variant]:
    """Return all variants."""
    found = [Variant(f"India: {name}", cell(text)(PAGE), READ) for name, text in {**MARKS, **MORE_MARKS}.items()]
    found += [
        Variant(f"India: {name}", cell(text)(PAGE), ALL_BUT) for name, text in {**SET_ASIDE, **MORE_SET_ASIDE}.items()
    ]
    for name, before, behind in (
        ("dollar signs everywhere", "$", ""), ("US$ everywhere", "US$", ""), ("est. everywhere", "", " est."),
        ("arrows everywhere", "▲ ", ""), ("notes everywhere", "", "<sup>[n 1]</sup>"), ("bold everywhere", "<b>", "</b>"),
        ("spans everywhere", '<span data-x="1">', "</span>"), ("breaks everywhere", "", "<br/>"),
    ):  # fmt: skip
        found.append(Variant(name, every_cell(before, behind)(PAGE), READ))
    found += [Variant(f"first column {name}", first_column(name)(PAGE), READ) for name in FIRST_COLUMNS]
    found += [Variant(f"heading {text}", heading("IMF<br />(2025)", text)(PAGE), READ) for text in YEARS]
    found += [Variant(f"name with {n}", PAGE.replace('"x">India<', f'"x">{t}<'), READ) for n, t in NAMES.items()]
    found += [
        Variant(f"section {text}", before_table(f"<h2>{text}</h2>")(BARE), REFUSED)
        for text in (*OTHER_QUANTITIES, "GDP per inhabitant", "GDP in chained 2015 dollars")
    ]
    caption = "GDP forecast or estimate (million US$) by country"
    found += [Variant(f"caption {text}", BARE.replace(caption, text), REFUSED) for text in OTHER_QUANTITIES]
    found += [
        Variant(f"page {name}", PAGE.replace("List_of_countries_by_GDP_(nominal)", name, 1), REFUSED)
        for name in OTHER_PAGES
    ]
    found += [Variant(f"in its place {what}", page, REFUSED) for what, page in IN_ITS_PLACE.items()]
    return found + of_tables()


def of_tables() -> list[Variant]:
    edits: dict[str, tuple[Callable[[str], str], str]] = {
        "the last 20 in a table of their own": (two_tables(20), READ),
        "the last 100 in a table of their own": (two_tables(100, "G–Z"), READ),
        "an excerpt of the ten largest": (
            lambda page: page.replace("<footer>", f"<table>{HEAD}{''.join(ROW.findall(page)[1:11])}</table><footer>"), READ,
        ),
        "rows in another order": (rows_changed(sorted), READ),
        "rows upside down": (rows_changed(lambda rows: rows[::-1]), READ),
        "headings again after 50 rows": (rows_changed(lambda r: [*r[:50], HEAD.removeprefix("<tbody>"), *r[50:]]), READ),
        "a sub-heading across": (
            rows_changed(lambda r: [*r[:50], "<tr><th colspan=4>Others</th></tr>", *r[50:]]), READ,
        ),
        "a blank row": (rows_changed(lambda r: [*r[:9], "<tr><td></td><td></td><td></td><td></td></tr>", *r[9:]]), READ),
        "numbers under the headings": (under_headings("(1)", "(2)", "(3)", "(4)"), READ),
        "numbers under the headings, as headings": (
            lambda page: page.replace(HEAD, HEAD + "<tr><th>(1)</th><th>(2)</th><th>(3)</th><th>(4)</th></tr>"), READ,
        ),
        "a sub-heading across as the first row": (
            lambda page: page.replace(HEAD, HEAD + "<tr><th colspan=4>Sovereign states</th></tr>"), READ,
        ),
        "units under the headings": (under_headings("", "US$ million", "US$ million", "US$ million"), READ),
        "a column of regions": (column_beside("UN region", "Asia"), READ),
        "a column of ranks": (column_beside("Rank", "7"), READ),
        "a column of codes": (column_beside("ISO code", "ABC"), READ),
        "a column of shares": (column_beside("Share of world GDP", "1.5%"), READ),
        "a column of growth": (column_beside("Real growth (%)", "2.5"), READ),
        "a column of per head": (column_beside("GDP per capita (US$)", "12,345"), READ),
        "a column of PPP": (column_beside("IMF GDP (PPP) 2025", "9,999,999"), READ),
        "a column of members": (column_beside("UN member", "yes"), READ),
        "a column of income groups": (column_beside("World Bank income group", "High"), READ),
        "a column of geoscheme": (column_beside("UN geoscheme", "Asia"), READ),
        "a column of IMF members": (column_beside("IMF member since", "1945"), READ),
        "a column of flags": (column_beside("Flag", "x"), READ),
        "a table of contents before it": (before_table("<table><tr><td>Contents</td><td>1 List</td></tr></table>"), READ),
        "a navigation box": (before_table('<table class="navbox"><tr><td>IMF</td></tr></table>'), READ),
        "a layout table with short rows": (
            before_table("<table><tr><td>a</td></tr><tr><td>b</td><td><table><tr><td>1</td></tr></table></td></tr></table>"),
            READ,
        ),
        "a heading before it": (before_table("<h2>Table</h2>"), READ),
        "no thead, all td": (lambda page: page.replace("<th", "<td").replace("</th>", "</td>"), READ),
        "thead and tfoot": (
            lambda page: page.replace(HEAD, HEAD.replace("<tbody>", "<thead>") + "</thead><tbody>"), READ,
        ),
        "upper-case tags": (
            lambda page: re.sub(r"</?(?:table|tr|td|th|tbody|caption)\b", lambda m: m[0].upper(), page), READ,
        ),
        "unclosed cells": (lambda page: page.replace("</td>", ""), READ),
        "unclosed rows": (lambda page: page.replace("</tr>", ""), READ),
        "one line": (lambda page: page.replace("\n", " "), READ),
        "Windows lines": (lambda page: page.replace("\n", "\r\n"), READ),
        "sections of Parsoid": (lambda page: page.replace("<table", '<section data-mw-section-id="1"><table', 1), READ),
        "no caption": (lambda page: re.sub(r"<caption>.*?</caption>", "", page, flags=re.DOTALL), READ),
        "a layout table around it": (
            lambda page: page.replace("<table", "<table><tr><td><table", 1).replace("</table>", "</table></td></tr></table>", 1),
            READ,
        ),
        "World at the end": (rows_changed(lambda r: [*r[1:], r[0]]), READ),
        "groups among the countries": (
            rows_changed(lambda r: [*r[:4], *(group(name) for name in ("European Union", "G7", "Asia", "Total")), *r[4:]]), READ,
        ),
        "ranks before the countries": (
            lambda page: page.replace(HEAD, HEAD.replace("<tr>", "<tr><th>Rank</th>", 1), 1).replace(
                '<tr>\n<td style="text-align:left">', '<tr>\n<td>1</td><td style="text-align:left">'
            ),
            READ,
        ),
        "regions behind the figures": (
            lambda page: page.replace("</td></tr>", "</td><td>Asia</td></tr>").replace("</th></tr>", "</th><th>Region</th></tr>", 1),
            READ,
        ),
        "a commented table": (before_table("<!-- <table><tr><td>old</td></tr></table> -->"), READ),
        "an old table that is hidden": (
            lambda page: before_table(f'<div style="display:none"><table>{HEAD}{"".join(ROW.findall(page)[:50])}</table></div>')(page),
            READ,
        ),
        "the same table twice": (behind("<table>{}</table>"), READ),
        "purchasing power behind it": (behind("<h2>GDP (PPP)</h2><table>{}</table>"), READ),
        "forecasts for 2030 behind it": (
            lambda page: behind("<h2>Forecasts</h2><table>{}</table>")(page).replace(HEAD, HEAD.replace("2025", "2030"), 2).replace(
                HEAD.replace("2025", "2030"), HEAD, 1
            ),
            READ,
        ),
        "a notice that wants sources": (
            before_table('<table class="ambox"><tr><td>This article needs additional citations (IMF)</td></tr></table>'), READ,
        ),
        "a note on purchasing power": (before_table('<div class="hatnote">For GDP (PPP), see another list</div>'), READ),
        "figures in th": (lambda page: re.sub(r"<td>([\d,]+)([^<]*)</td>", r"<th>\1\2</th>", page), READ),
        "names in th": (
            lambda page: re.sub(r'<td style="text-align:left">(.*?)</td>', r'<th scope="row">\1</th>', page), READ,
        ),
        "figures with sort values": (lambda page: re.sub(r"<td>([\d,]+)", r'<td data-sort-value="1">\1', page), READ),
        "figures with thin spaces": (
            lambda page: re.sub(r"<td>([\d,]+)", lambda cell: cell[0].replace(",", "&#8201;"), page), READ,
        ),
        "figures without commas": (lambda page: re.sub(r"<td>([\d,]+)", lambda cell: cell[0].replace(",", ""), page), READ),
        "figures with decimals": (lambda page: re.sub(r"<td>([\d,]+)\n", r"<td>\1.0\n", page), READ),
        "a byte order mark": (lambda page: "\ufeff" + page, READ),
        "tabs for lines": (lambda page: page.replace("\n", "\t"), READ),
        "no end of the body": (lambda page: page.replace("</body>", ""), READ),
        "the last row twice": (rows_changed(lambda r: [*r, r[-1]]), READ),
        "the unit across under the headings": (
            lambda page: page.replace(HEAD, HEAD + "<tr><th colspan=4>(millions of US$)</th></tr>"), READ,
        ),
        "headings made sortable": (heading("<th", "<th class='headerSort' tabindex='0' role='columnheader button'"), READ),
        "no table": (lambda page: re.sub(r"<table.*</table>", "", page, flags=re.DOTALL), REFUSED),
        "half of the rows": (rows_changed(lambda rows: rows[::2]), REFUSED),
        "no institution named": (
            lambda page: page.replace("IMF", "A").replace("World Bank", "B").replace("United Nations", "C"), REFUSED,
        ),
    }  # fmt: skip
    return [Variant(name, edit(PAGE), expected) for name, (edit, expected) in edits.items()]
