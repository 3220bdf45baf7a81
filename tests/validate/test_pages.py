"""Pages on their way into a database: what is stopped, what is flagged, and what is reported."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PROJECT, Run, page_of, query, records, run_stages, shared_pages
from tests.loading import clean_file_of, load_page
from tests.page_builder import SHIPPED
from utils import StageError

DATABASE = Path("sqliteDB") / "World_Economies.db"
CASES = PROJECT.parent / "shared" / "cases" / "pages"
needs_shared = pytest.mark.skipif(len(shared_pages()) < 5, reason="needs ../shared/pages")


def flagged(home: Path, as_of: str = "") -> dict[str, tuple[str, str]]:
    """Return flags and note of the IMF's rows that begin on a day and have a note, by country."""
    where = f"Institution = 'IMF' AND As_of LIKE '{as_of}%' AND Note NOT NULL"
    rows = query(home / DATABASE, f"SELECT Country, Flags, Note FROM GDP_Estimates WHERE {where}")
    return {country: (flags, note) for country, flags, note in rows}


def findings(home: Path) -> list[dict[str, object]]:
    content = json.loads((home / "results" / "Checks.json").read_text(encoding="utf-8"))
    return list(content["findings"])


def is_stopped(page: str | Path, home: Path) -> bool:
    """Return whether a page's load is refused (65) and the database as it was."""
    before = (home / DATABASE).read_bytes() if (home / DATABASE).exists() else None
    try:
        load_page(page, home)
    except StageError as error:
        assert error.code == 65 and "not loaded, the database is unchanged" in str(error)
        assert any(finding["severity"] == "fatal" for finding in findings(home))
        if before is None:
            assert query(home / DATABASE, "SELECT name FROM sqlite_master") == []
        else:
            assert (home / DATABASE).read_bytes() == before
        return True
    return False


# --- real pages -------------------------------------------------------------------------------------------------------


@needs_shared
def test_hungarys_altered_figure_is_no_baseline_for_the_next_page(home: Path) -> None:
    for day in ("2025-01-07", "2025-01-08"):
        load_page(page_of(day), home)
    flags, note = flagged(home, "2025-01-08")["Hungary"]
    assert flags == "departs-from-imf"
    assert note == "312.62; the IMF has 245.62 (2024-10-22): whole billions apart"
    load_page(page_of("2025-12-30"), home)
    assert "Hungary" not in flagged(home, "2025-12-30")


@needs_shared
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2023-09-02", "2024-06-30"), ("2024-06-30", "2025-01-07"), ("2025-01-07", "2025-12-30"),
        ("2024-06-30", "2025-12-30"), ("2025-12-30", "2023-09-02"), ("2025-01-07", "2024-06-30"),
    ],
)  # fmt: skip
def test_an_honest_page_is_loaded_beside_any_other(before: str, after: str, home: Path) -> None:
    for day in (before, after):
        load_page(page_of(day), home)
    assert not any(finding["severity"] == "fatal" for finding in findings(home))
    assert len(flagged(home)) <= 12  # six a page


WHOLE_COLUMNS = ("column_shuffled_2024-06-30", "column_shifted_one_row_2024-06-30", "column_scaled_2024-06-30")


@needs_shared
@pytest.mark.parametrize("case", WHOLE_COLUMNS)
@pytest.mark.parametrize("before", [None, "2023-09-02", "2025-12-30"])
def test_a_column_that_cannot_be_the_list_is_stopped_with_any_database(
    case: str, before: str | None, home: Path
) -> None:
    path = CASES / f"{case}.html.gz"
    if not path.exists():
        pytest.skip(f"needs {path}")
    if before:
        load_page(page_of(before), home)
    assert is_stopped(path, home)


@needs_shared
@pytest.mark.parametrize("before", [None, "2025-01-07"])
def test_one_digit_too_many_stops_nothing_and_is_flagged(before: str | None, home: Path) -> None:
    path = CASES / "one_digit_too_many_2025-12-30.html.gz"
    if not path.exists():
        pytest.skip(f"needs {path}")
    if before:
        load_page(page_of(before), home)
    load_page(path, home)
    flags, note = flagged(home, "2025-12-30")["United States"]
    assert flags == "departs-from-imf" and note.startswith("306,157.43; the IMF has 30,615.74")


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


STOPPED = [tenth_gone, times_1000, headings_swapped, every_figure_the_same, imf_column_times_1000, year_shifted]


def edited(edit: Edit, day: int = 31) -> str:
    """Return the shipped page with an edit, as of a day in December 2025."""
    page = gzip.decompress(SHIPPED.read_bytes()).decode()
    changed = edit(page)
    return changed.replace("30 December 2025", f"{day} December 2025").replace("1330326028", f"13303260{day}")


@pytest.mark.parametrize("edit", STOPPED)
def test_an_edit_that_makes_the_page_lie_stops_the_load_and_leaves_the_old_data(edit: Edit, home: Path) -> None:
    assert is_stopped(edited(edit), home)
    load_page(SHIPPED, home)
    assert is_stopped(edited(edit), home)


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
    ("edit", "country", "flag", "note"),
    [
        (country_doubled, "Germany", "duplicate", "the source gives it twice"),
        (
            country_doubled_with_another_figure,
            "Germany",
            "two-figures",
            "the source gives another figure too; 5,013.57 and 9,013.57",
        ),
        (one_figure_times_10, "Hungary", "departs-from-imf", "2,477.59; the IMF has 247.76 (2025-10-14)"),
        (one_figure_changed, "Hungary", "departs-from-imf", "the IMF has 247.76 (2025-10-14): whole billions apart"),
    ],
)
def test_an_edit_to_one_country_is_loaded_with_a_flag_and_a_note(
    edit: Edit, country: str, flag: str, note: str, home: Path
) -> None:
    load_page(SHIPPED, home)
    load_page(edited(edit), home)
    flags, text = flagged(home, "2025-12-31")[country]
    assert flag in flags.split() and note in text


def test_of_two_figures_for_a_country_the_one_that_was_published_before_is_kept(home: Path) -> None:
    load_page(SHIPPED, home)

    def lower_one_beside(page: str) -> str:
        row = row_of(page, "Germany")
        return page.replace(row, row + row.replace("5,013,574", "13,574"))

    load_page(edited(lower_one_beside), home)
    rows = query(home / DATABASE, "SELECT GDP_USD_billion FROM Countries_by_GDP WHERE ISO3 = 'DEU'")
    assert rows == [(5013.57,)]


def test_an_institution_that_is_gone_is_named(home: Path) -> None:
    load_page(SHIPPED, home)
    load_page(edited(lambda page: page.replace("World Bank<br />", "Somebody<br />")), home)
    (gone,) = [finding for finding in findings(home) if finding["check"] == "institution gone"]
    assert (gone["institution"], gone["seen"]) == ("World Bank", "no figure, where 2025-12-30 had 209")


def test_forced_figures_are_loaded_and_carry_the_flag(home: Path) -> None:
    load_page(SHIPPED, home)
    load_page(edited(headings_swapped), home, force=True)
    flags, note = flagged(home, "2025-12-31")["Germany"]
    assert flags == "fatal" and "institutions mixed up" in note
    load_page(SHIPPED, home)  # an honest page after it is not locked out
    assert not any(finding["severity"] == "fatal" for finding in findings(home))


def test_all_findings_are_on_screen_in_the_log_and_in_the_file(run: Run, home: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(edited(lambda p: united_states_missing(tenth_gone(p))))
    done = run_stages(run, "--page", page)
    log = (home / "log" / "etl_project_with_sql_log.txt").read_text(encoding="utf-8")
    found = findings(home)
    names = {str(finding["check"]) for finding in found}
    assert {"number of countries", "large economies missing", "sum against World"} <= names
    for finding in found:
        assert f"{finding['check']}, {finding['institution']}" in done.stderr
        assert f"{finding['check']}, {finding['institution']}: {finding['seen']}" in log
        assert {"check", "severity", "seen", "expected", "countries"} <= finding.keys()


def test_a_page_with_many_departures_shows_six_of_them_the_most_unusual_first(run: Run, home: Path) -> None:
    clean = clean_file_of(SHIPPED, home)
    every = records(clean)
    large = [one for one in every if one["Institution"] == "IMF" and one["GDP_USD_billion"] > 500]
    for number, record in enumerate(large[:12]):
        record["GDP_USD_million"] = round(record["GDP_USD_million"] * (1.0105 + number / 100))
        record["GDP_USD_billion"] = round(record["GDP_USD_million"] / 1000, 2)
    clean.write_text(json.dumps(every))
    done = run("load.py", "--input", clean, "--no-history")
    lines = done.stderr.partition("departs from the IMF's own figures, IMF: 12 figures\n")[2].splitlines()
    assert [line.strip().partition(" 2025:")[0] for line in lines[:6]] == [one["Country"] for one in large[11:5:-1]]
    assert lines[6] == "  and 6 more"
    assert "all of them are in home/results/Checks.json" in done.stderr
