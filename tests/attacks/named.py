"""What the user named does not fall back on something else."""

from __future__ import annotations

import json

from tests.attacks.harness import COUNTRIES, Home, attack, one_line
from tests.page_builder import SHIPPED

FAMILY = "what the user named"


@attack(FAMILY, "a page that is not there: nothing is done")
def missing_page(home: Home) -> None:
    home.fill()
    before = {name: content for name, content in home.written().items() if not name.startswith("log/")}
    ends = home.log().count("[load] start")
    done = home.run("etl_process", "--no-report", "--page", "nope.html")
    one_line(done, 66, "nope.html", "is not there")
    assert "transform" not in done.stderr and home.log().count("[load] start") == ends
    assert {name: content for name, content in home.written().items() if not name.startswith("log/")} == before


@attack(FAMILY, "a folder of pages that is not there, or holds none")
def missing_pages(home: Home) -> None:
    (home.folder / "empty").mkdir()
    for folder in ("nowhere", "empty"):
        one_line(home.run("etl_process", "--no-report", "--pages", home.folder / folder), 66, folder)
    assert "[transform] start" not in home.log()


@attack(FAMILY, "an input that is not there")
def missing_input(home: Home) -> None:
    for script in ("transform", "load"):
        one_line(home.call(script, "--input", home.folder / "nope.json"), 66, "nope.json")


@attack(FAMILY, "a page that is refused still lets the last good file be loaded")
def refused_page(home: Home) -> None:
    home.fill()
    (home.folder / "other.html").write_text("<html><body><p>no table</p></body></html>")
    done = home.run("etl_process", "--no-report", "--page", home.folder / "other.html")
    assert done.returncode == 65, done.stderr
    assert "goes on with" in done.stderr
    assert home.countries() == COUNTRIES


@attack(FAMILY, "cached pages whose days do not exist, and that are links to nowhere")
def odd_cache(home: Home) -> None:
    cache = home.folder / "data" / "pages"
    cache.mkdir(parents=True)
    (cache / "2025-13-45_enwiki_rev99.html.gz").write_bytes(SHIPPED.read_bytes())
    (cache / "2024-01-01_enwiki_rev98.html.gz").symlink_to("nowhere")
    (cache / "2024-01-01_imf_0123abcd.json.gz").symlink_to("nowhere")
    for arguments in ([], ["--archive"]):
        done = home.run("etl_process", "--no-report", *arguments)
        assert done.returncode == 0 and home.countries() == COUNTRIES, done.stderr[-400:]
    rejected = (home.folder / "results" / "Rejected.jsonl").read_text()
    assert rejected.count("is not there") == 2, rejected


@attack(FAMILY, "a partition that is a link to another file")
def linked_partition(home: Home) -> None:
    folder, victim = home.folder / "raw.parts", home.folder / "diary.txt"
    folder.mkdir()
    victim.write_text("dear diary")
    name = f"part-{'0' * 16}-00000-{'0' * 16}.jsonl"
    (folder / name).symlink_to(victim)
    note = {"task": 0, "counted": [], "bytes": 10, "as_of": "", "lines": name, "rejected": None}
    (folder / "_manifest.json").write_text(json.dumps({"identity": "0" * 16, "parts": [note]}))
    for script in ("transform", "load"):
        done = home.run(script, "--input", folder)
        one_line(done, 65, "is a link")
        assert "diary" not in done.stderr
