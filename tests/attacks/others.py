"""Other people's files and servers stay theirs."""

from __future__ import annotations

import importlib.util

from tests.attacks.harness import Home, NotPossible, attack, one_line
from tests.page_builder import SHIPPED

FAMILY = "other people's things"
SECRET = "hunter2"
FOREIGN = (
    f"mysql://me:{SECRET}@host/db", f"postgresql+psycopg://me:{SECRET}@host/db", f"oracle://me:{SECRET}@host/db",
    f"s3a://me:{SECRET}@bucket/db", f"s3://me:{SECRET}@bucket/db", f"ftp://me:{SECRET}@host/db",
    f"host=x user=me password={SECRET}",
    f"redis://:{SECRET}@host", "sqlite+pysqlite:///x.db",
)  # fmt: skip


@attack(FAMILY, "databases that are none of ours")
def foreign_databases(home: Home) -> None:
    for address in FOREIGN:
        for script in ("etl_process", "load", "report"):
            done = home.run(script, "--database", address)
            assert done.returncode == 2, (script, address, done.returncode, done.stderr[-300:])
            assert SECRET not in done.stderr + done.stdout, done.stderr
        assert home.written() == {} or not any(SECRET in name for name in home.written())
    assert not [name for name in home.written() if not name.startswith("log/")]


@attack(FAMILY, "outputs and inputs under schemes that are none of ours")
def foreign_places(home: Home) -> None:
    for script, option in (("extract", "--output"), ("transform", "--output"), ("transform", "--input")):
        for scheme in ("s3a", "gopher", "mysql", "abfs"):
            page = ["--page", str(SHIPPED)] if script == "extract" else []
            done = home.run(script, *page, option, f"{scheme}://me:{SECRET}@bucket/x.json")
            assert done.returncode == 2, (script, scheme, done.returncode, done.stderr[-300:])
            assert SECRET not in done.stderr + done.stdout
    assert not [name for name in home.written() if not name.startswith("log/")]


@attack(FAMILY, "sqlite:/// means a file of SQLite's")
def sqlite_address(home: Home) -> None:
    database = home.folder / "elsewhere.db"
    done = home.run("etl_process", "--no-report", "--page", SHIPPED, "--database", f"sqlite:///{database}")
    assert done.returncode == 0, done.stderr[-400:]
    assert database.read_bytes().startswith(b"SQLite format 3")


@attack(FAMILY, "a lock that is a link to somebody's file")
def linked_lock(home: Home) -> None:
    victim = home.folder / "diary.txt"
    victim.write_text("dear diary")
    (home.folder / "log").mkdir()
    (home.folder / "log" / ".lock").symlink_to(victim)
    one_line(home.run("extract", "--page", SHIPPED), 74)
    assert victim.read_text() == "dear diary"


@attack(FAMILY, "an output folder that somebody else filled")
def filled_folder(home: Home) -> None:
    if importlib.util.find_spec("pyspark") is None:
        raise NotPossible("PySpark (requirements/spark.txt) is not installed")
    folder = home.folder / "thesis"
    folder.mkdir()
    (folder / "chapter-1.txt").write_text("for years")
    (home.folder / "pages").mkdir()
    (home.folder / "pages" / SHIPPED.name).write_bytes(SHIPPED.read_bytes())
    done = home.run("extract", "--pages", home.folder / "pages", "--engine", "spark", "--output", folder)
    one_line(done, 74, "thesis")
    assert (folder / "chapter-1.txt").read_text() == "for years"
