"""Clocks that were set back, time zones, locales, and standard descriptors that are closed."""

from __future__ import annotations

import os
import re
import time

from tests.attacks.harness import COUNTRIES, Home, attack
from tests.page_builder import SHIPPED

FAMILY = "clocks, zones, locales, descriptors"
YEAR_S = 366 * 24 * 3600
STAMP = re.compile(r"\d{4}-[A-Z][a-z]+-\d\d-\d\d-\d\d-\d\d, \S")


@attack(FAMILY, "a clock that was set back by a year")
def set_back(home: Home) -> None:
    home.fill()
    later = time.time() + YEAR_S  # for a clock that was set back, all files are of the future
    for path in home.folder.rglob("*"):
        os.utime(path, (later, later))
    runs = home.folder / "log" / "runs.jsonl"
    year = time.gmtime().tm_year
    runs.write_text(runs.read_text().replace(f'"started": "{year}', f'"started": "{year + 1}'))
    for arguments in (["--page", str(SHIPPED)], []):
        done = home.run("etl_process", "--no-report", *arguments)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-400:]
    status = home.run("etl_process", "--status")
    assert status.returncode == 0 and "-1 days" not in status.stdout, status.stdout
    assert home.countries() == COUNTRIES


@attack(FAMILY, "the first and the last time zone of the day, and none")
def zones(home: Home) -> None:
    tables: list[str] = []
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12", "Nowhere/None", ""):
        database = home.folder / f"{len(tables)}.db"  # a new one, as a run that changes nothing prints no tables
        done = home.run("etl_process", "--no-report", "--page", SHIPPED, "--database", database, TZ=zone)
        assert done.returncode == 0, (zone, done.stderr[-400:])
        tables.append(done.stdout.partition("What changed")[0])
    assert len(set(tables)) == 1
    stamps = home.log().splitlines()
    assert all(STAMP.match(line) for line in stamps)
    assert home.log().count(time.strftime("%Y-%B", time.gmtime())) > 10


@attack(FAMILY, "Turkish, and locales that are not there")
def locales(home: Home) -> None:
    tables: list[str] = []
    for locale in ("C", "tr_TR.UTF-8", "tr_TR", "xx_YY.ISO-8859-9", "POSIX"):
        database = home.folder / f"{len(tables)}.db"
        arguments = ("--no-report", "--page", SHIPPED, "--database", database)
        done = home.run("etl_process", *arguments, LC_ALL=locale, LANG=locale)
        assert done.returncode == 0, (locale, done.stderr[-400:])
        tables.append(done.stdout.partition("What changed")[0])
    assert len(set(tables)) == 1 and "76" in tables[0]


@attack(FAMILY, "an output encoding that lacks most letters")
def encodings(home: Home) -> None:
    everything = ("etl_process", "--no-report", "--page", str(SHIPPED))
    for encoding, command in (("ascii", everything), ("latin-1", ("load",)), ("iso8859-9", ("load", "--changes"))):
        done = home.run(*command, PYTHONIOENCODING=encoding)
        assert done.returncode == 0 and "Traceback" not in done.stderr, (encoding, done.stderr[-400:])


@attack(FAMILY, "standard descriptors closed, each and all, and a high one in their place")
def closed_descriptors(home: Home) -> None:
    for closed in ("<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"):
        for command in ("etl_process.py --no-report --page $PAGE", "load.py", "load.py --country KOR"):
            done = home.shell(f"$PY $SUITE/{command} {closed}")
            assert done.returncode == 0, (closed, command, done.returncode, done.stderr[-400:])
    assert home.countries() == COUNTRIES
    lock = (home.folder / "log" / ".lock").read_text()
    assert lock.split()[0].isdigit(), "something else was written into the lock"
