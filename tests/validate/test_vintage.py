"""Figures that lie are noticed, and honest ones are let through: real transitions, and edits to a good page."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Run, page_of, query, records, shared_pages
from tests.loading import load_page
from tests.looked_at import script
from tests.page_builder import SHIPPED
from utils import StageError

DATABASE = Path("sqliteDB") / "World_Economies.db"
# The thirteen IMF cells that somebody changed between the pages of 7 and 8 January 2025.
ALTERED = {
    "Argentina", "Bangladesh", "Brunei", "Bulgaria", "Czech Republic", "Ethiopia", "Hungary", "Macau", "Nigeria",
    "Oman", "Qatar", "Sudan", "Uzbekistan",
}  # fmt: skip
needs_shared = pytest.mark.skipif(len(shared_pages()) < 5, reason="../shared is not beside the project")


def noted(home: Path, as_of: str) -> dict[str, str]:
    """Return the Notes on the IMF's rows of a vintage, by country."""
    where = f"Institution = 'IMF' AND As_of LIKE '{as_of}%' AND Note NOT NULL"
    rows = query(home / DATABASE, f"SELECT Country, Note FROM GDP_Estimates WHERE {where}")
    return dict(rows)


def findings(home: Path) -> list[dict[str, object]]:
    told = json.loads((home / "results" / "Checks.json").read_text(encoding="utf-8"))
    return list(told["findings"])


@needs_shared
def test_the_altered_figures_of_january_2025_are_noted_from_what_to_what(home: Path) -> None:
    for day in ("2025-01-07", "2025-01-08"):
        load_page(page_of(day), home)
    notes = noted(home, "2025-01-08")
    told = {country for country, note in notes.items() if re.search(r"was [\d.]+ on 2025-01-07, now [\d.]+", note)}
    assert told == ALTERED
    assert len(notes.keys() - ALTERED) <= 5
    assert "was 145.03 on 2025-01-07, now 230.03 (+58.6 %)" in notes["Ethiopia"]


@needs_shared
def test_as_the_first_page_ever_six_of_the_altered_figures_stand_apart_from_the_other_institutions(home: Path) -> None:
    load_page(page_of("2025-01-08"), home)
    notes = noted(home, "2025-01-08")
    assert notes.keys() & ALTERED == {"Czech Republic", "Ethiopia", "Hungary", "Nigeria", "Sudan", "Uzbekistan"}
    assert len(notes.keys() - ALTERED) == 4


@needs_shared
@pytest.mark.parametrize(
    ("before", "after", "most"),
    [
        ("2023-09-02", "2024-06-30", 5),
        ("2024-06-30", "2025-01-07", 5),
        ("2025-01-07", "2025-12-30", 6),
        ("2024-06-30", "2025-12-30", 6),
    ],
)
def test_an_honest_transition_raises_no_fatal_finding_and_few_warnings(
    before: str, after: str, most: int, home: Path
) -> None:
    for day in (before, after):
        load_page(page_of(day), home)
    found = findings(home)
    assert [finding for finding in found if finding["severity"] == "fatal"] == []
    assert len(found) <= most


# --- edits to a good page ---------------------------------------------------------------------------------------------

Edit = Callable[[str], str]
ROW = re.compile(r"<tr>\n<td.*?</tr>", re.DOTALL)


def tenth_gone(page: str) -> str:
    rows = ROW.findall(page)
    for row in rows[9::10]:
        page = page.replace(row, "")
    return page


def times_1000(page: str) -> str:
    return re.sub(r"(\d)(?=( \(20\d\d\))?\n</td>)", r"\1,000", page)


def headings_swapped(page: str) -> str:
    return (
        page.replace("IMF<br />(2025)", "@")
        .replace("World Bank<br />(2024)", "IMF<br />(2025)")
        .replace("@", "World Bank<br />(2024)")
    )


def year_shifted(page: str) -> str:
    return page.replace("IMF<br />(2025)", "IMF<br />(2026)")


def row_of(page: str, country: str) -> str:
    return next(str(row) for row in ROW.findall(page) if f">{country}<" in row)


def country_doubled_with_another_figure(page: str) -> str:
    row = row_of(page, "Germany")
    return page.replace(row, row + row.replace("5,013,574", "9,013,574"))


def united_states_missing(page: str) -> str:
    return page.replace(row_of(page, "United States"), "")


def every_figure_the_same(page: str) -> str:
    return re.sub(r"<td>[\d,]+( \(20\d\d\))?\n</td>", "<td>123,456\n</td>", page)


def imf_column_times_1000(page: str) -> str:
    return ROW.sub(lambda row: re.sub(r"<td>([\d,]+)", r"<td>\1,000", str(row[0]), count=1), page)


STOPPED = [tenth_gone, times_1000, headings_swapped, every_figure_the_same, imf_column_times_1000]


def edited(edit: Edit, day: int = 31) -> str:
    """Return the shipped page with an edit, as of a day in December 2025."""
    page = gzip.decompress(SHIPPED.read_bytes()).decode()
    changed = edit(page)
    return changed.replace("30 December 2025", f"{day} December 2025").replace("1330326028", f"13303260{day}")


@pytest.mark.parametrize("edit", STOPPED)
def test_an_edit_that_makes_the_page_lie_stops_the_load_and_leaves_the_old_data(edit: Edit, home: Path) -> None:
    load_page(SHIPPED, home)
    before = (home / DATABASE).read_bytes()
    with pytest.raises(StageError, match="not loaded, the old data stands") as refused:
        load_page(edited(edit), home)
    assert refused.value.code == 65
    assert (home / DATABASE).read_bytes() == before
    assert any(finding["severity"] == "fatal" for finding in findings(home))


@pytest.mark.parametrize("edit", STOPPED)
def test_such_an_edit_stops_the_very_first_load_too(edit: Edit, home: Path) -> None:
    with pytest.raises(StageError, match="not loaded"):
        load_page(edited(edit), home)
    assert query(home / DATABASE, "SELECT name FROM sqlite_master") == []


def test_a_shifted_year_is_stopped_where_two_vintages_agree_and_noted_where_one_alone_says_otherwise(
    home: Path,
) -> None:
    load_page(edited(lambda page: page, 28), home)
    load_page(edited(year_shifted, 29), home)
    assert "this vintage or that of 2025-12-28 is wrong" in noted(home, "2025-12-29")["Germany"]
    load_page(SHIPPED, home)  # the honest page after it loads, and the odd one out is told
    assert {finding["check"] for finding in findings(home)} == {"out of line with other institutions"}
    (doubt,) = query(home / DATABASE, "SELECT Doubt FROM Loads WHERE As_of LIKE '2025-12-29%'")
    assert "agree with each other and not with this one" in doubt[0]
    with pytest.raises(StageError, match="year shifted"):
        load_page(edited(year_shifted), home)


def test_a_year_ahead_of_the_page_is_noted_on_the_very_first_load(home: Path) -> None:
    load_page(edited(year_shifted), home)
    assert "year 2026" in noted(home, "2025-12-31")["Germany"]


def test_one_large_economy_less_is_a_warning_and_many_stop_the_load(home: Path) -> None:
    load_page(SHIPPED, home)
    load_page(edited(united_states_missing), home)
    seen = {(f["check"], f["institution"]): f["seen"] for f in findings(home)}
    assert seen["large economies missing", "IMF"] == "no figure for United States"
    assert seen["countries gone", "IMF"] == "1 gone: United States"

    def many_missing(page: str) -> str:
        for country in ("United States", "China", "Germany", "Japan", "India"):
            page = page.replace(row_of(page, country), "")
        return page

    with pytest.raises(StageError, match="large economies missing"):
        load_page(edited(many_missing), home)


def country_doubled(page: str) -> str:
    row = row_of(page, "Germany")
    return page.replace(row, row + row)


def one_figure_times_10(page: str) -> str:
    return page.replace("247,759\n", "2,477,590\n")


def one_figure_changed(page: str) -> str:
    return page.replace("247,759\n", "251,759\n")


@pytest.mark.parametrize(
    ("edit", "country", "note"),
    [
        (country_doubled, "Germany", "said twice"),
        (country_doubled_with_another_figure, "Germany", "two figures for 2025: 5013.57 and 9013.57"),
        (one_figure_times_10, "Hungary", "by a factor of about 10"),
        (one_figure_changed, "Hungary", "was 247.76 on 2025-12-30, now 251.76"),
    ],
)
def test_an_edit_to_one_country_loads_with_a_note_on_its_row(edit: Edit, country: str, note: str, home: Path) -> None:
    load_page(SHIPPED, home)
    load_page(edited(edit), home)
    assert note in noted(home, "2025-12-31")[country]


def test_of_two_figures_for_a_country_the_one_that_was_said_before_stands(home: Path) -> None:
    load_page(SHIPPED, home)

    def lower_one_beside(page: str) -> str:
        row = row_of(page, "Germany")
        return page.replace(row, row + row.replace("5,013,574", "13,574"))

    load_page(edited(lower_one_beside), home)
    rows = query(home / DATABASE, "SELECT GDP_USD_billion FROM Countries_by_GDP WHERE ISO3 = 'DEU'")
    assert rows == [(5013.57,)]


def test_an_institution_that_is_gone_is_told(home: Path) -> None:
    load_page(SHIPPED, home)
    load_page(edited(lambda page: page.replace("World Bank<br />", "Somebody<br />")), home)
    (gone,) = [finding for finding in findings(home) if finding["check"] == "institution gone"]
    assert (gone["institution"], gone["seen"]) == ("World Bank", "no figure, where 2025-12-30 had 209")


def test_of_two_columns_the_one_that_is_shown_is_the_one_that_is_checked(home: Path) -> None:
    load_page(SHIPPED, home)

    def second_column(page: str) -> str:
        page = page.replace("1,565,471\n", "4,565,000\n")
        page = page.replace("IMF<br />(2025)", "IMF<br />(2026)</th><th>IMF<br />(2025)")
        return re.sub(r"(<tr>\n<td.*?</td>\n)(<td[^>]*>.*?</td>\n)", r"\1\2\2", page, flags=re.DOTALL)

    load_page(edited(second_column), home)
    assert "was 1,565.47 on 2025-12-30, now 4,565.00" in noted(home, "2025-12-31")["Turkey"]
    assert "sum against World" not in {finding["check"] for finding in findings(home)}


def test_forced_figures_are_loaded_and_carry_what_was_found(home: Path) -> None:
    load_page(SHIPPED, home)
    load_page(edited(headings_swapped), home, force=True)
    assert "institutions mixed up" in noted(home, "2025-12-31")["Germany"]


def test_all_findings_come_together_on_screen_in_the_log_and_in_the_file(run: Run, home: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(edited(lambda p: united_states_missing(tenth_gone(p))))
    done = run("etl_process.py", "--no-report", "--page", page)
    log = (home / "log" / "etl_project_with_sql_log.txt").read_text(encoding="utf-8")
    told = findings(home)
    names = {str(finding["check"]) for finding in told}
    assert {"number of countries", "large economies missing", "sum against World"} <= names
    for finding in told:
        assert f"{finding['check']}, {finding['institution']}" in done.stderr
        assert f"{finding['check']}, {finding['institution']}: {finding['seen']}" in log
        assert {"check", "severity", "seen", "expected", "countries"} <= finding.keys()


def test_a_finding_is_told_in_short_lines_the_worst_first_and_where_the_rest_is(run: Run, home: Path) -> None:
    script("etl_process.py", "--no-report", "--page", SHIPPED)
    clean = home / "results" / "Countries_by_GDP_Processed.json"
    said = records(clean)
    large = [one for one in said if one["Institution"] == "IMF" and one["GDP_USD_billion"] > 500][:12]
    for number, record in enumerate(large):
        record["GDP_USD_billion"] = round(record["GDP_USD_billion"] * (1.01 + number / 100), 2)
    clean.write_text(json.dumps([{**record, "As_of": "2025-12-31"} for record in said]))
    done = run("load.py")
    assert "[load] warning: moved since the last load, IMF 2025: 12 figures" in done.stderr
    lines = done.stderr.partition("moved since the last load, IMF 2025: 12 figures\n")[2].splitlines()
    assert [re.sub(r".*\((.*)\)", r"\1", line) for line in lines[:5]] == [f"+{12 - n}.0 %" for n in range(5)]
    assert lines[5] == "  and 7 more"
    assert "all of them are in home/results/Checks.json" in done.stderr


def test_load_alone_keeps_what_transform_found_about_its_file_and_says_when_it_cannot_know(
    run: Run, home: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text(edited(lambda p: p.replace("117,165,394", "217,165,394")))
    assert "sum against World, IMF" in run("etl_process.py", "--no-report", "--page", page).stderr
    assert "sum against World, IMF" in run("load.py").stderr
    (tmp_path / "other.jsonl").write_text(
        "".join(json.dumps(r) + "\n" for r in records(home / "results" / "Countries_by_GDP_Processed.json"))
    )
    assert "its sum was not compared with World" in run("load.py", "--input", tmp_path / "other.jsonl").stderr
