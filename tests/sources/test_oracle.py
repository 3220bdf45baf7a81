"""Tables are laid out as a browser would: an independent reader agrees on every page, real, made up or edited."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings

from gdp.sources.wikipedia.tables import visible_tables
from tests.conftest import MISJUDGED, OTHER_LISTS, PAGES, shared_pages
from tests.page_builder import SHIPPED, build
from tests.sources.oracle import Grid, grids
from tests.sources.test_made_up_pages import Drawn, pages
from tests.sources.variants import Variant, all_marks, of_tables

REAL = [SHIPPED, *shared_pages([*PAGES, *MISJUDGED, *OTHER_LISTS])]
VARIANTS = [*of_tables(), Variant("every mark in a cell", all_marks(), "")]


def ours(page: str) -> list[Grid]:
    return [[[cell.text if cell else None for cell in row] for row in table.rows] for table in visible_tables(page)]


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name[:-8])
def test_every_table_of_a_real_page_is_laid_out_as_an_independent_reader_does(path: Path) -> None:
    page = gzip.decompress(path.read_bytes()).decode()
    assert ours(page) == grids(page)


@pytest.mark.parametrize(
    "variant",
    [pytest.param(one, marks=[pytest.mark.long] * (number % 3 > 0)) for number, one in enumerate(VARIANTS)],
    ids=[one.name for one in VARIANTS],
)
def test_every_table_of_an_edited_page_is_laid_out_as_an_independent_reader_does(variant: Variant) -> None:
    assert ours(variant.page) == grids(variant.page)


@settings(max_examples=10)
@given(pages())
def test_every_table_of_a_made_up_page_is_laid_out_as_an_independent_reader_does(drawn: Drawn) -> None:
    page = build(drawn.page, drawn.layout)
    assert ours(page) == grids(page)
