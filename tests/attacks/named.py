"""What the user named does not fall back on something else."""

from __future__ import annotations

from tests.attacks.harness import COUNTRIES, Home, attack, one_line

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
        one_line(home.run(script, "--input", home.folder / "nope.json"), 66, "nope.json")


@attack(FAMILY, "a page that is refused still lets the last good file be loaded")
def refused_page(home: Home) -> None:
    home.fill()
    (home.folder / "other.html").write_text("<html><body><p>no table</p></body></html>")
    done = home.run("etl_process", "--no-report", "--page", home.folder / "other.html")
    assert done.returncode == 65, done.stderr
    assert "goes on with" in done.stderr
    assert home.countries() == COUNTRIES
