"""Which figure is a country's headline: one choice for the table, the view, every question and the checks."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdp.model import HEADLINE_FIELDS, CleanRecord
from gdp.places import Place
from gdp.report.summary import summarize
from gdp.store.database import asked, opened, rows_of
from gdp.store.history import History
from gdp.validate.observations import headlines_of, is_left_out
from load import load
from tests.conftest import query
from tests.page_builder import SHIPPED
from tests.store.loading import ask, clean_file_of, load_page

COLUMNS = ", ".join(HEADLINE_FIELDS)
CODES = {"KOR": "South Korea", "JPN": "Japan", "CHN": "China"}
OF_RELEASED_VERSION = """
    CREATE TABLE GDP_Estimates (
        As_of TEXT NOT NULL, Institution TEXT NOT NULL, ISO3 TEXT, Country TEXT NOT NULL,
        Region TEXT, Subregion TEXT, Year INTEGER NOT NULL, GDP_USD_billion DOUBLE PRECISION NOT NULL, Note TEXT,
        Source TEXT NOT NULL, Publisher TEXT NOT NULL, Until TEXT NOT NULL DEFAULT '9999-12-31',
        PRIMARY KEY (As_of, Institution, Country, Year, Publisher)
    ) WITHOUT ROWID;
    CREATE INDEX GDP_Estimates_standing ON GDP_Estimates (Publisher, Institution, Until);
    CREATE TABLE Loads (Loaded_at TEXT NOT NULL, File TEXT NOT NULL, SHA256 TEXT NOT NULL, As_of TEXT NOT NULL,
        Rows INTEGER NOT NULL, Publisher TEXT NOT NULL, Institutions TEXT NOT NULL, Source TEXT NOT NULL,
        Left_out TEXT, Findings TEXT);
    CREATE VIEW GDP_History AS
    SELECT substr(As_of, 1, 10) AS First_day, date(substr(Until, 1, 10), '-1 day') AS Last_day, GDP_Estimates.*
    FROM GDP_Estimates;
    INSERT INTO Loads VALUES ('2024-07-01T00:00:00Z', 'x', 'y', '2024-06-30T22:28:00Z', 1, 'wikipedia', 'IMF',
        'https://example.org', NULL, NULL);
    INSERT INTO GDP_Estimates VALUES ('2024-06-30T22:28:00Z', 'IMF', 'KOR', 'South Korea', 'Asia', 'Eastern Asia',
        2024, 1760.95, NULL, 'https://example.org', 'wikipedia', '9999-12-31');
    CREATE TABLE Countries_by_GDP AS
        SELECT Country, ISO3, Region, Year, GDP_USD_billion FROM GDP_Estimates ORDER BY GDP_USD_billion DESC;
"""

Published = dict[tuple[str, str, int, str | None], float]  # by institution, code, year and Flags


def load_published(database: Path, as_of: str, published: Published, source: str = "https://example.org") -> None:
    """Load figures, also where the checks find something."""
    records = [
        {
            "Country": CODES[code], "ISO3": code, "Region": "Asia", "Subregion": "Eastern Asia",
            "Institution": institution, "Year": year, "GDP_USD_billion": figure, "As_of": as_of,
            "Source": f"{source}/{as_of}", "Note": None, "Flags": flags, "GDP_USD_million": figure * 1000,
        }
        for (institution, code, year, flags), figure in published.items()
    ]  # fmt: skip
    path = database.with_suffix(".json")
    path.write_text(json.dumps(records), encoding="utf-8")
    load(path, Place(database), force=True)


def table(database: Path) -> list[tuple[Any, ...]]:
    return query(database, "SELECT ISO3, Year, GDP_USD_billion, As_of FROM Countries_by_GDP")


# --- the choice -------------------------------------------------------------------------------------------------------


def test_a_figure_without_a_source_never_gets_in_also_where_a_country_has_no_other(home: Path) -> None:
    published: Published = {
        ("IMF", "KOR", 2025, "unsourced"): 9.0,
        ("IMF", "KOR", 2024, None): 8.0,
        ("IMF", "JPN", 2025, "unsourced"): 7.0,
        ("IMF", "CHN", 2025, "disputed duplicate"): 6.0,
    }
    load_published(home / "x.db", "2025-05-01", published)
    assert table(home / "x.db") == [("KOR", 2024, 8.0, "2025-05-01")]
    assert query(home / "x.db", "SELECT ISO3 FROM GDP_Current") == [("KOR",)]


def test_of_several_years_that_of_as_of_is_used_else_the_nearest_before_else_the_nearest_after(home: Path) -> None:
    published: Published = {("IMF", "KOR", year, None): float(year) for year in (2023, 2025, 2026)}
    published |= {("IMF", "JPN", year, None): float(year) for year in (2020, 2023, 2026)}
    published |= {("IMF", "CHN", year, None): float(year) for year in (2027, 2026)}
    load_published(home / "x.db", "2025-05-01", published)
    assert {code: year for code, year, _, _ in table(home / "x.db")} == {"KOR": 2025, "JPN": 2023, "CHN": 2026}


def test_a_vintage_without_a_sourced_imf_column_leaves_the_table_as_it_was_and_says_so(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_published(home / "x.db", "2025-05-01", {("IMF", "KOR", 2025, None): 8.0})
    before = table(home / "x.db")
    capsys.readouterr()
    load_published(
        home / "x.db", "2025-06-01", {("IMF", "KOR", 2025, "unsourced"): 80.0, ("UN", "KOR", 2023, None): 7.0}
    )
    assert "has a source" in capsys.readouterr().err
    assert table(home / "x.db") == before
    current = query(home / "x.db", "SELECT Institution, GDP_USD_billion, As_of FROM GDP_Latest ORDER BY Institution")
    assert current == [("IMF", 8.0, "2025-05-01"), ("UN", 7.0, "2025-06-01")]
    assert ask("--database", home / "x.db", "--as-of", "2025-07-01", "--json").json["As_of"] == "2025-05-01"


figures = st.dictionaries(
    st.tuples(
        st.sampled_from(["IMF", "UN", "World Bank"]), st.sampled_from(sorted(CODES)), st.integers(2019, 2026),
        st.sampled_from([None, "duplicate", "unsourced", "disputed duplicate", "two-years", "unknown-name"]),
    ),
    st.integers(1, 10**6).map(lambda cents: cents / 100), min_size=1, max_size=25,
)  # fmt: skip


@settings(max_examples=25)
@given(st.lists(figures, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_view_the_table_and_the_checks_choose_alike(
    tmp_path_factory: pytest.TempPathFactory, vintages: list[Published], chance: Any
) -> None:
    database = tmp_path_factory.mktemp("headlines") / "x.db"
    as_ofs = [f"202{2 + n}-0{chance.randint(1, 9)}-01" for n in range(len(vintages))]
    # one figure a country, institution and year: several are another matter
    by_day = {
        a: {key[:3]: (key, figure) for key, figure in published.items()}
        for a, published in zip(as_ofs, vintages, strict=True)
    }
    for as_of in chance.sample(as_ofs, len(as_ofs)):
        load_published(database, as_of, dict(by_day[as_of].values()))
    with opened(Place(database)) as connection:
        view = rows_of(connection, f"SELECT {COLUMNS}, Institution FROM GDP_Latest")
        newest = History(connection).newest_imf()
        chosen = rows_of(connection, f"SELECT {COLUMNS} FROM Countries_by_GDP")
    of_imf = [{k: v for k, v in row.items() if k != "Institution"} for row in view if row["Institution"] == "IMF"]
    assert sorted(of_imf, key=str) == sorted(chosen, key=str)
    assert [row["GDP_USD_billion"] for row in chosen] == sorted((r["GDP_USD_billion"] for r in chosen), reverse=True)
    for institution in ("IMF", "UN", "World Bank"):
        by_checks: dict[str, tuple[int, float]] = {}
        for as_of in as_ofs:  # the newest that has any
            sourced = {
                (code, year): figure for (name, code, year), ((*_, flags), figure) in by_day[as_of].items()
                if name == institution and not is_left_out(flags)
            }  # fmt: skip
            by_checks = headlines_of(sourced, as_of) or by_checks
        by_view = {r["ISO3"]: (r["Year"], r["GDP_USD_billion"]) for r in view if r["Institution"] == institution}
        assert by_view == by_checks
    assert (newest is None) == (not chosen)


def test_the_report_is_handed_the_headlines_and_chooses_none(home: Path) -> None:
    load_published(
        home / "x.db", "2024-05-01", {("IMF", "KOR", year, None): float(year) for year in (2023, 2024, 2025)}
    )
    load_published(
        home / "x.db", "2025-06-01", {("IMF", "KOR", 2025, "unsourced"): 1.0, ("IMF", "JPN", 2025, None): 2.0}
    )
    with asked(Place(home / "x.db")) as connection:
        history = History(connection)
        newest = history.newest_imf()
        assert newest is not None
        handed, chosen = summarize(connection).countries, history.headlines(newest)
    for rows in (handed, chosen):
        assert [(row["ISO3"], row["Year"], row["GDP_USD_billion"]) for row in rows] == [("JPN", 2025, 2.0)]


# --- the table --------------------------------------------------------------------------------------------------------


def test_a_view_of_somebody_elses_survives_a_load_and_rows_come_highest_first(home: Path) -> None:
    load_page(home / "x.db", SHIPPED)
    with sqlite3.connect(home / "x.db") as database:
        database.execute("CREATE VIEW Large AS SELECT * FROM Countries_by_GDP WHERE GDP_USD_billion >= 100")
        database.execute("CREATE VIEW Ranked AS SELECT * FROM GDP_Current")
        before = database.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    load_page(home / "x.db", SHIPPED)
    assert query(home / "x.db", "SELECT sql FROM sqlite_master ORDER BY name") == before
    assert query(home / "x.db", "SELECT count(*) FROM Large") == [(76,)]
    figures = [figure for (figure,) in query(home / "x.db", "SELECT GDP_USD_billion FROM Countries_by_GDP")]
    assert figures == sorted(figures, reverse=True) and len(figures) == 194


def test_a_database_of_the_released_version_is_carried_over_with_its_past(home: Path) -> None:
    with sqlite3.connect(home / "x.db") as old:
        old.executescript(OF_RELEASED_VERSION)
    old.close()
    assert ask("--database", home / "x.db", "--as-of", "2024-07-01", "--json").code == 0
    load_page(home / "x.db", SHIPPED)
    korea = query(
        home / "x.db", "SELECT Year, GDP_USD_billion, substr(As_of, 1, 10) FROM Countries_by_GDP WHERE ISO3 = 'KOR'"
    )
    assert korea == [(2025, 1858.57, "2025-12-30")]
    with sqlite3.connect(home / "x.db") as now, pytest.raises(sqlite3.IntegrityError):
        now.execute("INSERT INTO Countries_by_GDP SELECT * FROM Countries_by_GDP")
    past = query(
        home / "x.db",
        "SELECT GDP_USD_billion FROM GDP_Estimates WHERE ISO3 = 'KOR' AND Institution = 'IMF'",
    )
    assert (1760.95,) in past and (1858.57,) in past


def test_a_load_that_fails_leaves_an_older_database_as_it_was(home: Path) -> None:
    with sqlite3.connect(home / "x.db") as old:
        old.executescript(OF_RELEASED_VERSION)
    old.close()
    before = (
        query(home / "x.db", "SELECT sql FROM sqlite_master"),
        query(home / "x.db", "SELECT * FROM Countries_by_GDP"),
    )
    bad: list[CleanRecord] = [r for r in json.loads(clean_file_of(SHIPPED).read_text()) if r["ISO3"] != "USA"][:50]
    (home / "bad.json").write_text(json.dumps(bad))
    with pytest.raises(Exception, match="not loaded"):
        load(home / "bad.json", Place(home / "x.db"))
    after = (
        query(home / "x.db", "SELECT sql FROM sqlite_master"),
        query(home / "x.db", "SELECT * FROM Countries_by_GDP"),
    )
    assert after == before
