"""A page that somebody made of the real one is read exactly, or refused; none is read wrong without a word."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone

import pytest

from gdp.model import DISPUTED, UNSOURCED, has_flag
from gdp.sources import Refused
from gdp.sources.wikipedia import page as wikipedia
from gdp.transform.rules import Fate, clean
from tests.sources.variants import ALL_BUT, IN_ITS_PLACE, PAGE, READ, REFUSED, Variant, every

Figures = dict[tuple[str, str, int], float]
DAY = datetime(2025, 12, 30, tzinfo=timezone.utc)
VARIANTS = every()


def figures(page: str) -> Figures:
    """Return what the page gives Countries_by_GDP and its like: figures under a source, by country."""
    records = [
        outcome.record
        for outcome in map(clean, wikipedia.parse(page.encode(), "x", DAY).records)
        if outcome.record and outcome.fate is Fate.CLEAN
    ]
    return {
        (record["Institution"], record["ISO3"] or record["Country"], record["Year"]): record["GDP_USD_billion"]
        for record in records if not has_flag(record["Flags"], UNSOURCED, DISPUTED)
    }  # fmt: skip


WHOLE = figures(PAGE)


def outcome(variant: Variant) -> str:
    try:
        found = figures(variant.page)
    except Refused:
        return REFUSED
    if found == WHOLE:
        return READ
    missing = WHOLE.items() - found.items()
    return ALL_BUT if len(missing) == 1 and not found.items() - WHOLE.items() else "wrong"


@pytest.mark.parametrize("variant", VARIANTS, ids=[variant.name for variant in VARIANTS])
def test_a_variant_is_read_as_a_person_would(variant: Variant) -> None:
    assert outcome(variant) == variant.expected


@pytest.mark.parametrize(("what", "page"), IN_ITS_PLACE.items(), ids=list(IN_ITS_PLACE))
def test_what_is_in_the_place_of_the_list_is_called_by_its_name(what: str, page: str) -> None:
    with pytest.raises(Refused, match=what):
        wikipedia.parse(page.encode(), "x", DAY)


def test_most_variants_are_read() -> None:
    counted = Counter(variant.expected for variant in VARIANTS)
    assert counted[READ] > counted[ALL_BUT] + counted[REFUSED]
