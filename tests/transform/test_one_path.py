"""One path from raw to clean: an array and a stream of the same records give the same, down to the database."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import transform
from gdp.model import RAW_FIELDS
from gdp.options import TRANSFORM, parse
from gdp.places import Place
from gdp.record_files import record_problem
from gdp.runtime.run_log import run_log
from gdp.transform.batch import BROKEN, clean_lines
from gdp.transform.rules import Fate, clean
from load import load
from tests.conftest import logged, query
from tests.make_data import make_records, records_a_page
from utils import StageError

Raw = dict[str, Any]

GOOD: Raw = {
    "Country": "Chad", "GDP": "1,234", "Year": None, "Column": "IMF(2025)[6]", "Unit": "million US$",
    "Institution": "IMF", "Source": "https://example.org/1", "As_of": "2025-05-05",
}  # fmt: skip
ODD: dict[str, list[Any]] = {
    "Country": ["Chad[n 1]", "World", "WEOWORLD", "European Union", "Ruritania", "Mali (2019)", "12", "",
                "Côte d’Ivoire†", "\ud800", "\ufffd", 'say "so"\\', "a\u2028b"],
    "GDP": ["—", "N/A", "", "abc", "0", "-5", "1115,494", "1,234 (2019)", "1,234 (1492)", "2,468", "∞", 5, None, 1.5],
    "Year": ["2024", "2022–24", "[n 1]2022", "20x5", "1492", "—", 2024, True],
    "Column": ["IMF(2026)[citation needed]", "IMF", "IMF (2024) or (2025)", None, [], "GDP (US$ billion)"],
    "Unit": [None, "GDP in billions", {}],
    "Institution": ["World Bank", "UN", "CIA", "imf", "", None],
    "Source": ["https://example.org/22", "https://www.imf.org/x", "s\u2028\""],
    "As_of": ["2025-05-05T10:00:00Z", "yesterday", "2025-13-01", "2024-05-05", ""],
}  # fmt: skip
NO_RECORDS = [5, "text", None, [], {}, {"Country": "Chad"}]


def changed(raw: Raw, names: list[str], draw: Any) -> Raw:
    return {**raw, **{name: draw(st.sampled_from(ODD[name])) for name in names}}


@st.composite
def raw_records(draw: Any) -> list[Any]:
    """Records of every kind: good, odd in a field or two, no records at all, some of them several times."""
    found: list[Any] = []
    for _ in range(draw(st.integers(0, 12))):
        names = draw(st.lists(st.sampled_from([*ODD]), max_size=2, unique=True))
        figure = f"{draw(st.integers(1, 3)) * 1000:,}"
        country = draw(st.sampled_from(["Chad", "Mali", "Japan", "World"]))
        found.append(changed({**GOOD, "GDP": figure, "Country": country}, names, draw))
    found += draw(st.lists(st.sampled_from(NO_RECORDS), max_size=1))
    found += draw(st.lists(st.sampled_from(found), max_size=4)) if found else []
    return list(draw(st.permutations(found)))


class Outcome(NamedTuple):
    """What a run of transform leaves and logs, in either format."""

    code: int
    message: str
    records: list[str]
    rejects: list[tuple[str, str]]
    left_out: dict[str, int]
    findings: list[Any]
    logged: list[str]


def outcome(folder: Path, suffix: str, raw: list[Any], *arguments: str) -> Outcome:
    """Return what becomes of raw records in a file of that kind."""
    texts = [json.dumps(record) for record in raw]
    source, target, checks = folder / f"raw{suffix}", folder / f"clean{suffix}", folder / "Checks.json"
    as_lines = suffix == ".jsonl"
    source.write_text("".join(f"{text}\n" for text in texts) if as_lines else f"[{', '.join(texts)}]", encoding="utf-8")
    options = ("--input", str(source), "--output", str(target), "--workers", "1", *arguments)
    code, message = 0, ""
    run_log.begin("transform", quiet=True)
    with logged() as lines:
        try:
            transform.prepare_transform(parse(TRANSFORM, [*options]))()
        except StageError as error:
            code, message = error.code, str(error)
    read = (folder / "Rejected.jsonl").read_text(encoding="utf-8") if (folder / "Rejected.jsonl").exists() else ""
    rejects = [json.loads(line) for line in read.splitlines()]
    report = json.loads(checks.read_text(encoding="utf-8")) if checks.exists() else {"left_out": {}, "findings": []}
    clean = target.read_text(encoding="utf-8") if target.exists() else "[]"
    records = [json.loads(line) for line in clean.split("\n") if line] if as_lines else json.loads(clean)
    return Outcome(
        code, without_places(message, folder), sorted(map(json.dumps, records if target.exists() else [])),
        [(one["Reason"], one["Text"]) for one in rejects], report["left_out"], report["findings"],
        [without_places(line, folder) for line in lines],
    )  # fmt: skip


def without_places(text: str, folder: Path) -> str:
    """Return a message without what a file's format decides: its name, and how a place in it is counted."""
    text = re.sub(r"(byte offset|record) \d+ of", "place of", text.replace(str(folder), ""))
    return re.sub(r"(raw|clean)\.jsonl?", r"\1", text)


def both(raw: list[Any], *arguments: str) -> tuple[Outcome, Outcome]:
    found = []
    for suffix in (".json", ".jsonl"):
        with tempfile.TemporaryDirectory() as folder:
            found.append(outcome(Path(folder), suffix, raw, *arguments))
    return found[0], found[1]


@settings(max_examples=150)
@given(raw_records(), st.sampled_from([(), ("--max-rejected", "1"), ("--max-rejected", "0.3")]))
def test_an_array_and_a_stream_of_any_records_give_the_same(raw: list[Any], arguments: tuple[str, ...]) -> None:
    array, stream = both(raw, *arguments)
    assert array == stream


@given(raw_records())
def test_records_read_at_once_mean_what_each_means_by_itself(raw: list[Any]) -> None:
    outcomes = [clean(one) for one in raw if record_problem(one, RAW_FIELDS) is None]
    want = [json.dumps(one.record, ensure_ascii=False) for one in outcomes if one.fate is Fate.CLEAN]
    lines = "".join(f"{json.dumps(one)}\n" for one in raw * 2).encode()  # again, where what is beside figures is known
    cleaned = clean_lines(lines, "a file", 0)
    assert cleaned.lines.decode().split("\n")[:-1] == want * 2
    assert cleaned.totals.counts == Counter(one.fate.value for one in outcomes * 2) + Counter(
        {BROKEN: 2 * (len(raw) - len(outcomes))}
    )


@settings(max_examples=50)
@given(raw_records())
def test_every_record_of_either_kind_is_accounted_for(raw: list[Any]) -> None:
    for found in both(raw, "--max-rejected", "1"):
        if found.code == 0:
            assert len(found.records) + sum(found.left_out.values()) == len(raw)
            assert len(found.rejects) == found.left_out.get("rejected", 0) + found.left_out.get("no record", 0)


def test_an_array_is_sorted_highest_first_and_a_stream_keeps_the_order_of_the_source(tmp_path: Path) -> None:
    raw = [{**GOOD, "Country": name, "GDP": gdp} for name, gdp in (("Mali", "1"), ("Japan", "9,000"), ("Chad", "70"))]
    outcome(tmp_path, ".json", raw)
    outcome(tmp_path, ".jsonl", raw)
    names = [record["Country"] for record in json.loads((tmp_path / "clean.json").read_text())]
    lines = [json.loads(line)["Country"] for line in (tmp_path / "clean.jsonl").read_text().splitlines()]
    assert (names, lines) == (["Japan", "Chad", "Mali"], ["Mali", "Japan", "Chad"])


def test_countries_of_all_years_are_compared_with_one_world_row_and_year_by_year_with_several() -> None:
    one = [{**GOOD, "Country": "World", "GDP": "3,000,000"}, {**GOOD, "GDP": "2,000,000"},
           {**GOOD, "Country": "Mali", "GDP": "1,000,000 (2024)"}]  # fmt: skip
    several = [*one, {**GOOD, "Country": "World", "GDP": "9,000,000 (2024)"}]
    for raw, share in ((one, ["1.000"]), (several, ["0.111", "0.667"])):
        for found in both(raw):
            shares = [line.partition("USD, ")[2].split(" ")[0] for line in found.logged if "the figures add up" in line]
            assert shares == share, found.logged


def test_bytes_that_are_no_text_are_rejected_in_an_array_too(tmp_path: Path) -> None:
    content = json.dumps([GOOD, {**GOOD, "Country": "Mali?"}]).encode().replace(b"Mali?", b"Mali\xff")
    (tmp_path / "raw.json").write_bytes(content)
    options = ["--input", str(tmp_path / "raw.json"), "--output", str(tmp_path / "c.json"), "--max-rejected", "0.5"]
    transform.prepare_transform(parse(TRANSFORM, options))()
    (reject,) = map(json.loads, (tmp_path / "Rejected.jsonl").open(encoding="utf-8"))
    assert (reject["Record"], reject["Reason"]) == (2, "is not text in UTF-8")


# --- down to the database ---------------------------------------------------------------------------------------------


def a_page(folder: Path) -> list[Raw]:
    """Return a made-up page's raw records."""
    make_records(records_a_page(), folder / "made.jsonl", broken_lines=False)
    return [json.loads(line) for line in (folder / "made.jsonl").read_text(encoding="utf-8").splitlines()]


def loaded(folder: Path, suffix: str, raw: list[Raw], force: bool = False) -> tuple[Any, ...]:
    """Return the exit code of transform and load, what load finds, and what is in the database then."""
    there = folder / suffix.strip(".")
    there.mkdir()
    found = outcome(there, suffix, raw, "--max-rejected", "0.1")
    database, code = there / "x.db", found.code
    run_log.begin("load", quiet=True)
    with logged() as lines:
        try:
            load(there / f"clean{suffix}", Place(database), force=force)
        except StageError as error:
            code = error.code
    warnings = [line for line in lines if "a country twice" in line]
    tables = ("SELECT * FROM GDP_Estimates", "SELECT * FROM Countries_by_GDP", "SELECT Rows, Findings FROM Loads")
    return code, warnings, [query(database, sql) for sql in tables] if code == 0 else []


def test_rows_repeated_alike_load_from_both_with_the_same_warning_and_the_same_database(
    home: Path, tmp_path: Path
) -> None:
    raw = a_page(tmp_path)
    again = [one for one in raw if one["Country"].startswith(("Germany", "Japan")) and one["Institution"] == "IMF"]
    array, stream = (loaded(tmp_path, suffix, [*raw, *again]) for suffix in (".json", ".jsonl"))
    assert array == stream
    code, warnings, (estimates, *_) = array
    assert code == 0
    assert len(warnings) == 1 and "Japan" in warnings[0] and "the same figure" in warnings[0]
    assert Counter(row[11] for row in estimates)["duplicate"] == len(again) == 2


@pytest.mark.parametrize("force", [False, True])
def test_two_figures_for_a_country_load_alike_from_both_with_a_flag(force: bool, home: Path, tmp_path: Path) -> None:
    raw = a_page(tmp_path)
    other = [{**one, "GDP": "9,000"} for one in raw if one["Country"].startswith("Japan")]
    array, stream = (loaded(tmp_path, suffix, [*other, *raw], force) for suffix in (".json", ".jsonl"))
    assert array == stream
    code, _, (estimates, *_) = array
    assert code == 0
    assert [row[11] for row in estimates if "two-figures" in (row[11] or "")]
