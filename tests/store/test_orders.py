"""Every honest page is loaded, in any order, one by one or together, and the order changes nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

import load
from gdp.places import Place
from gdp.record_files import write_records
from gdp.sources.folder_of_pages import packed_lines
from gdp.transform.rules import clean
from tests.conftest import MISJUDGED, PAGES, SHARED_PAGES, made_once, query
from tests.make_data import make_records, records_a_page
from utils import StageError

FILES = sorted((SHARED_PAGES / f"{page}.html.gz" for page in (*PAGES, *MISJUDGED)), key=lambda path: path.name)
needs_shared = pytest.mark.skipif(not all(map(Path.exists, FILES)), reason="../shared is not beside the project")


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the clean file of each page, oldest page first."""

    def make(folder: Path) -> list[Path]:
        files = []
        for page in FILES:
            raws = [json.loads(line) for line in packed_lines(page, Path("raw.jsonl")).lines.splitlines()]
            records = [outcome.record for outcome in map(clean, raws) if outcome.record and outcome.fate == "clean"]
            files.append(folder / page.name.replace(".html.gz", ".json"))
            write_records(files[-1], sorted(records, key=lambda record: record["GDP_USD_billion"], reverse=True))
        return files

    return made_once(tmp_path_factory, "clean", make)


def loaded(files: Iterable[Path], database: Path) -> Path:
    """Load files one after another; none is refused."""
    for file in files:
        assert load.load(file, Place(database)).refused == []
    return database


def dump(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of every table and view whose content the order of loading must not change."""
    return {
        name: query(database, f"SELECT * FROM {name} ORDER BY {order}")
        for name, order in (("GDP_Estimates", "8, 5, 1, 6, 14"), ("Countries_by_GDP", "1"), ("GDP_Latest", "1, 2, 3"))
    }


@needs_shared
def test_the_real_pages_load_in_any_order_and_the_order_changes_nothing(
    cleaned: list[Path], home: Path, tmp_path: Path
) -> None:
    expected = dump(loaded(cleaned, tmp_path / "oldest-first.db"))
    assert {row[5] for row in expected["Countries_by_GDP"]} == {"2026-02-25T00:00:00Z"}
    orders = [cleaned[::-1], random.Random(1).sample(cleaned, len(cleaned))]
    for number, order in enumerate(orders):
        found = dump(loaded(order, tmp_path / f"{number}.db"))
        for name, rows in expected.items():
            assert found[name] == rows, [path.name for path in order]


@needs_shared
def test_the_real_pages_load_together_as_one_after_another(cleaned: list[Path], home: Path, tmp_path: Path) -> None:
    expected = dump(loaded(cleaned, tmp_path / "single.db"))
    stream = tmp_path / "mixed.jsonl"
    shuffled = random.Random(1).sample(cleaned, len(cleaned))
    records = [record for path in shuffled for record in json.loads(path.read_text(encoding="utf-8"))]
    write_records(stream, records)
    assert dump(loaded([stream], tmp_path / "mixed.db")) == expected


@needs_shared
def test_the_page_with_an_uncited_column_gives_the_countries_that_have_a_source(
    cleaned: list[Path], home: Path, tmp_path: Path
) -> None:
    database = loaded(cleaned[7:8], tmp_path / "uncited.db")
    assert query(database, "SELECT count(*) FROM Countries_by_GDP") == [(194,)]
    top = "SELECT GDP_USD_billion FROM Countries_by_GDP WHERE Region = 'North America' ORDER BY 1 DESC LIMIT 5"
    assert sum(figure for (figure,) in query(database, top)) / 5 == pytest.approx(7003.68, abs=0.005)
    found = json.loads((home / "results" / "Checks.json").read_text(encoding="utf-8"))["findings"]
    assert "countries without a source" in {finding["check"] for finding in found}
    loaded(cleaned[8:], database)


@needs_shared
def test_a_wrong_vintage_in_the_database_makes_no_honest_one_refused(
    cleaned: list[Path], home: Path, tmp_path: Path
) -> None:
    honest = json.loads(cleaned[8].read_text(encoding="utf-8"))
    wrong, place = tmp_path / "wrong.json", Place(tmp_path / "wrong.db")
    moved = [{**r, "Year": r["Year"] + 1} if r["Institution"] == "IMF" else r for r in honest]
    write_records(wrong, [{**record, "As_of": "2025-12-29T00:00:00Z"} for record in moved])
    with pytest.raises(StageError, match="years moved"):
        load.load(wrong, place)
    load.load(wrong, place, force=True)
    loaded(cleaned[8:10], tmp_path / "wrong.db")
    doubts = dict(query(tmp_path / "wrong.db", "SELECT substr(As_of, 1, 10), Doubt FROM Loads"))
    assert set(doubts) == {"2025-12-29", "2025-12-30", "2026-02-25"}
    assert doubts["2025-12-29"].startswith("fatal") and doubts["2025-12-30"] is doubts["2026-02-25"] is None
    (newest,) = query(tmp_path / "wrong.db", "SELECT DISTINCT As_of FROM Countries_by_GDP")
    assert newest == ("2026-02-25T00:00:00Z",)


@pytest.mark.parametrize("distinct", [True, False])
def test_an_archive_loads_at_once_as_vintage_by_vintage_and_its_table_is_indexed(
    distinct: bool, home: Path, tmp_path: Path
) -> None:
    make_records(6 * records_a_page(), tmp_path / "raw.jsonl", broken_lines=False, distinct=distinct)
    raws = [json.loads(line) for line in (tmp_path / "raw.jsonl").read_text(encoding="utf-8").splitlines()]
    outcomes = [clean(raw) for raw in raws]
    records = [one.record for one in outcomes if one.record and one.fate == "clean"]
    as_ofs = sorted({record["As_of"] for record in records})[:6]  # what broken lines leave room for is no whole page
    records = [record for record in records if record["As_of"] in as_ofs]
    files = [tmp_path / "whole.jsonl"]
    write_records(files[0], records)
    for as_of in as_ofs:
        files.append(tmp_path / f"{as_of[:13]}.jsonl")
        write_records(files[-1], [record for record in records if record["As_of"] == as_of])
    whole, single = loaded(files[:1], tmp_path / "whole.db"), loaded(files[1:], tmp_path / "single.db")
    assert dump(whole) == dump(single)
    (rows,) = query(whole, "SELECT count(*) FROM GDP_Estimates")[0]
    assert (rows == len(records)) == distinct
    assert query(whole, "SELECT 1 FROM sqlite_master WHERE name = 'GDP_Estimates_standing'")
