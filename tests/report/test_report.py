"""The report's files, and report.py as a stage whose failure fails nothing else."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import report
from gdp.model import ESTIMATE_FIELDS, is_flagged_by_check
from gdp.places import Place
from gdp.report import page
from gdp.report.summary import time_series
from gdp.store.database import asked
from load import load
from tests.conftest import Run, query, records
from tests.page_builder import SHIPPED
from tests.report.conftest import REPORT, write
from tests.store.loading import DATABASE, clean_file_of

MOST_BYTES = 1_500_000


def changes_in(text: str) -> str:
    return text[text.index('<section id="changes"') : text.index('<section id="checks"')]


def test_the_page_needs_no_other_file_and_has_everything(made: Path) -> None:
    text = made.read_text(encoding="utf-8")
    assert len(text.encode()) < MOST_BYTES
    assert re.findall(r"<(?:script|img|iframe)[^>]*\bsrc=|<link|@import|url\(http", text) == []
    for words in (
        "as quoted by Wikipedia on 2025-12-30", "IMF, projections for 2025 (4 of 194 for another year",
        "countries and territories", "at or above 100 billion", "revision 1330326028", "48 no figure",
        "Creative Commons Attribution-ShareAlike 4.0",
    ):  # fmt: skip
        assert words in text, words
    assert text.count('role="img"') == 2  # the map and the regions
    figures = "".join(re.findall(r"<figure.*?</figure>", text, re.DOTALL))
    assert set(re.findall(r"(?:fill|stroke): ?(#[0-9a-f]+)", figures)) == set()  # the page's colours, light or dark
    for (sha256,) in query(made.parents[1] / DATABASE, "SELECT SHA256 FROM Loads"):
        assert sha256 in text


def test_a_figure_for_another_year_is_no_revision(home: Path) -> None:
    clean = clean_file_of(SHIPPED)
    of_before = {"As_of": "2024-12-30", "Source": "https://example.org/x"}
    earlier = [{**one, **of_before, "Year": one["Year"] - 1} for one in records(clean)]
    (home / "earlier.json").write_text(json.dumps(earlier))
    for file in (home / "earlier.json", clean):
        load(file, Place(home / DATABASE), force=True)
    text = write(home / REPORT, home / DATABASE)
    assert "<strong>0</strong> revised since" in text
    assert "<strong>194</strong> now for another year" in text
    assert 'Revised since <span class="whole">2024-12-30</span>' in changes_in(text)
    assert re.findall(r'class="(?:rose|fell)">[+-]', text) == []


def test_a_flagged_figure_is_marked_also_as_the_one_before(made: Path) -> None:
    text = made.read_text(encoding="utf-8")
    (france,) = re.findall(r"<tr><th[^>]*><a href=\"#country=FRA\">.*?</tr>", changes_in(text))
    assert "flagged: found altered" in france
    (row,) = re.findall(r'<tr id="country=FRA".*?</tr>', text)
    assert "data-was-flagged" in row and "is flagged: found altered" in row


def test_means_and_totals_of_the_regions_are_in_the_same_order(made: Path) -> None:
    text = made.read_text(encoding="utf-8")
    regions = text[text.index('<section id="regions"') : text.index('<section id="changes"')]
    table, _, drawing = regions.partition("<figure>")
    means = re.findall(r'<th scope="row" class="bar"[^>]*>([^<]+)</th>', table)
    totals = [name for name in re.findall(r'text-anchor="end"[^>]*>([^<]+)</text>', drawing) if name in means]
    assert means == totals and len(means) == 6


def test_plots_are_files_of_their_own_that_name_source_year_and_unit(made: Path) -> None:
    plots = made.parent / "plots"
    assert sorted(one.name for one in plots.iterdir()) == [
        "gdp_by_region.svg", "gdp_over_100b.svg", "gdp_world.svg", "region_top5_average.svg",
    ]  # fmt: skip
    for one in plots.iterdir():
        words = " ".join(element.text or "" for element in ElementTree.parse(one).iter() if "text" in element.tag)
        for part in ("Source: IMF, projections for 2025", "by Wikipedia on 2025-12-30", "llion USD"):
            assert part in words, (one.name, part)
        assert not ("billion" in words and "trillion" in words) and "var(" not in one.read_text()


def test_a_name_from_a_source_is_text_and_nothing_else(hostile: Path) -> None:
    for one in (hostile, *(hostile.parent / "plots").iterdir(), hostile.with_name("feed.xml")):
        assert "<img" not in one.read_text()
        assert one is hostile or ElementTree.parse(one)
    assert "<img" not in hostile.with_name("CHANGES.md").read_text().replace("\\<img", "")


def test_the_series_have_every_figure_with_its_days_and_its_remark(made: Path) -> None:
    with asked(Place(made.parents[1] / DATABASE)) as connection:
        series = time_series(connection)
    ethiopia = series["countries"]["ETH"]
    place = next(place for place, one in enumerate(series["series"]) if one["key"] == "imf.wikipedia")
    rows = query(
        made.parents[1] / DATABASE,
        "SELECT As_of, GDP_USD_billion, Note, Flags FROM GDP_Estimates"
        " WHERE ISO3 = 'ETH' AND Institution = 'IMF' AND Year = 2025 ORDER BY As_of",
    )
    expected: list[float] = []
    for as_of, figure, note, flags in rows:
        remark = [note or "", 1, int(is_flagged_by_check(flags))]  # all are projections
        expected += [series["days"].index(as_of), figure, -1 - series["remarks"].index(remark)]
    assert ethiopia["figures"][place][2025] == expected and len(rows) == 5
    assert ethiopia["names"][0] == "et" and "ethiopia" in ethiopia["names"]


def test_the_feed_and_the_release_notes_are_the_same_for_the_same_figures(made: Path, past: Path) -> None:
    write(past / "again" / "report.html", past / DATABASE)
    for name in ("feed.xml", "CHANGES.md"):
        assert (past / "again" / name).read_bytes() == made.with_name(name).read_bytes()
    atom = "{http://www.w3.org/2005/Atom}"
    feed = ElementTree.parse(made.with_name("feed.xml")).getroot()
    days = [entry.findtext(f"{atom}updated") for entry in feed.findall(f"{atom}entry")]
    assert days == sorted(filter(None, days), reverse=True) and days[0] == "2025-12-30T20:09:00Z"
    assert "changed between 2025-10-15 and 2025-12-30" in made.with_name("CHANGES.md").read_text()


# --- as a stage -------------------------------------------------------------------------------------------------------


def test_a_report_that_fails_does_not_fail_the_run(run: Run, home: Path) -> None:
    (home / "results").mkdir()
    (home / "results" / "report.html").mkdir()
    done = run("etl_process.py", "--page", SHIPPED)
    assert done.returncode == 0
    assert "[report] error: cannot write" in done.stderr
    assert run("report.py").returncode == 74


def test_a_report_after_a_failed_load_reads_the_database_that_is_named(run: Run, loaded: Path, home: Path) -> None:
    (loaded / DATABASE).rename(home / "x.db")
    (home / "results" / "Countries_by_GDP_Processed.json").write_text("[]")
    done = run("etl_process.py", "--from", "load", "--database", home / "x.db")
    assert done.returncode == 65
    assert (home / REPORT).exists()


def test_odd_figures_are_drawn_too(home: Path) -> None:
    clean = home / "clean.json"
    every = records(clean_file_of(SHIPPED))
    for name, change in (
        ("all are nothing", lambda one: {"GDP_USD_billion": 0.0, "GDP_USD_million": 0.0}),
        ("no region", lambda one: {"Region": None, "GDP_USD_billion": 1.0, "GDP_USD_million": 1000.0}),
        ("a name of signs", lambda one: {"Country": "\\1 $" + one["Country"]}),
    ):  # fmt: skip
        clean.write_text(json.dumps([{**one, **change(one)} for one in every]))
        load(clean, Place(home / f"{name}.db"), force=True)
        assert "</html>" in write(home / f"{name}.html", home / f"{name}.db"), name


def test_estimates_without_room_in_the_page_are_counted(past: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(past / DATABASE) as database:  # the same figures for other years
        columns = ", ".join("Year - ? * 10" if name == "Year" else name for name in ESTIMATE_FIELDS)
        copy = f"INSERT INTO GDP_Estimates ({', '.join(ESTIMATE_FIELDS)}) SELECT {columns} FROM GDP_Estimates"
        for years in range(1, 41):
            database.execute(f"{copy} WHERE Year > 2015", (years,))
    (number,) = query(past / DATABASE, "SELECT count(*) FROM GDP_Estimates")[0]
    assert number > 80_000
    text = write(past / REPORT, past / DATABASE)
    assert f"Without the oldest {number - 80_000:,} of {number:,} estimates" in text


def test_a_report_on_nothing_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main([]) == 66
    assert "run python etl_process.py first" in capsys.readouterr().err


def test_a_compiled_template_is_used_again_and_made_again_when_its_source_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "WEB", tmp_path / "web")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "cache"))
    (tmp_path / "web").mkdir()
    source = tmp_path / "web" / "x.html"
    for text in ("first", "second"):
        source.write_text(text)
        for _ in range(2):
            page.template.cache_clear()
            assert page.template("x.html").render() == text
        (compiled,) = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
        assert text.encode() in compiled.read_bytes()
    compiled.write_bytes(b"cut")
    page.template.cache_clear()
    assert page.template("x.html").render() == "second"
    page.template.cache_clear()
