"""What is read is what it claims to be: nominal GDP in US dollars of countries, each figure of its own cell."""

from __future__ import annotations

import re

import pytest

from gdp.sources import Refused
from gdp.sources.wikipedia import page as wikipedia
from gdp.sources.wikipedia.headings import unknown_words
from tests.sources.list_variants import (
    HONEST,
    MISSING,
    OTHER_MONEY,
    OTHER_QUANTITIES,
    PLACES,
    behind_list,
    of_the_list,
    scaled,
    table,
)  # fmt: skip
from tests.sources.test_variants import DAY, WHOLE, figures, outcome
from tests.sources.variants import PAGE, READ, REFUSED, Variant, before_table

VARIANTS = of_the_list()
YEARS_AHEAD = [text for text in OTHER_QUANTITIES if not unknown_words(text)]  # refused for their year alone


@pytest.mark.parametrize("text", OTHER_MONEY)
def test_another_money_or_price_basis_is_no_known_text(text: str) -> None:
    assert unknown_words(text)


@pytest.mark.parametrize("text", OTHER_QUANTITIES)
def test_another_quantity_or_a_year_ahead_is_refused_as_a_caption(text: str) -> None:
    with pytest.raises(Refused, match='has "'):
        wikipedia.parse(PLACES["caption"](text)(PAGE).encode(), "x", DAY)


@pytest.mark.parametrize("text", HONEST)
def test_a_text_of_the_list_is_known(text: str) -> None:
    assert unknown_words(text) is None


@pytest.mark.parametrize("place", PLACES)
def test_texts_count_wherever_they_are(place: str) -> None:
    for text in (OTHER_MONEY[0], OTHER_MONEY[12], OTHER_QUANTITIES[0], OTHER_QUANTITIES[-1]):
        assert outcome(Variant(text, PLACES[place](text)(PAGE), REFUSED)) == REFUSED, text
    for text in ("GDP (million US$) by country", "GDP at market exchange rates (US$ million)"):
        assert outcome(Variant(text, PLACES[place](text)(PAGE), READ)) == READ, text


def test_years_ahead_are_few() -> None:
    assert YEARS_AHEAD == ["GDP in 2050 (million US$)", "GDP projected for 2040 (million US$)"]


@pytest.mark.parametrize("variant", VARIANTS, ids=[variant.name for variant in VARIANTS])
def test_the_list_is_read_as_a_person_would(variant: Variant) -> None:
    if variant.expected is MISSING:
        found = figures(variant.page)
        assert found.items() < WHOLE.items() and len(WHOLE) - len(found) <= 3
    else:
        assert outcome(variant) == variant.expected


def test_two_tables_that_could_be_the_list_are_both_quoted() -> None:
    page = next(one.page for one in VARIANTS if one.name == "other figures of the same year")
    with pytest.raises(Refused, match=r'two tables could be the list of IMF: "GDP .*" and "GDP'):
        wikipedia.parse(page.encode(), "x", DAY)


HOSTILE = {
    "elements in each other": "<table><tr><td>" + "<div>" * 90_000,
    "rows with tables in them": "<table>" + "<tr><td><table><tr><td>y</td></tr></table></td></tr>" * 30_000,
    "tables in each other": "<table><tr><td>" * 9_000, "raised digits": "<table><tr><td>" + "1<sup>2</sup>" * 60_000,
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_page_made_to_take_long_is_refused(what: str) -> None:
    page = (
        f'<html><script>"wgPageName":"List_of_countries_by_GDP_(nominal)"</script><body>{HOSTILE[what]}</body></html>'
    )
    with pytest.raises(Refused, match=r"nested|have tables in them|0 countries"):
        wikipedia.parse(page.replace("</body>", "</table>" * HOSTILE[what].count("<table>")).encode(), "x", DAY)


def test_an_excerpt_never_displaces_the_list_also_with_a_newer_year() -> None:
    page = PAGE.replace("IMF<br />(2025)", "IMF<br />(2024)")
    excerpt = table("Top 10 by GDP (million US$)", "IMF (2025)", scaled(1, 10))
    assert figures(before_table(excerpt)(page)) == figures(page)


def test_marks_and_brackets_beside_names_make_no_other_countries_of_them() -> None:
    page = re.sub(r'("x">[^<]+)</a>', r"\1 (country)</a> †", PAGE)
    last_year = table("GDP (million US$), 2024", "IMF (2024)", scaled(0.95, more=30))
    for edit in (behind_list, before_table):
        assert figures(edit(last_year)(page)) == figures(page)
