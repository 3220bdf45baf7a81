"""Whoever stops reading our messages stops nothing."""

from __future__ import annotations

from tests.attacks.harness import COUNTRIES, Home, attack

FAMILY = "pipes closed or full"
RUN = "$PY $SUITE/etl_process.py --no-report --page $PAGE"


def whole(home: Home, code: int, expected: int = 0) -> None:
    """Hold that a run did all its work and wrote every line of it to the log."""
    assert code == expected, f"exit {code} and not {expected}"
    assert home.countries() == COUNTRIES
    log = home.log()
    for stage in ("extract", "transform", "load", "etl"):
        assert f"[{stage}] end: done" in log, f"{stage} has no end in the log"


@attack(FAMILY, "all output into head -1")
def head_of_everything(home: Home) -> None:
    done = home.shell(f"set -o pipefail; {RUN} 2>&1 | head -1")
    whole(home, done.returncode)


@attack(FAMILY, "all output into a reader that is gone at once")
def reader_gone(home: Home) -> None:
    done = home.shell(f"{RUN} 2>&1 | true; echo ${{PIPESTATUS[0]}}")
    whole(home, int(done.stdout))


@attack(FAMILY, "messages into a reader that is gone at once")
def messages_unread(home: Home) -> None:
    done = home.shell(f"{{ {RUN} 2>&3 | wc -l; echo ${{PIPESTATUS[0]}} >&4; }} 4>&1 3>&1 >/dev/null | tail -1")
    assert home.countries() == COUNTRIES, done


@attack(FAMILY, "a failure whose messages go into head -4")
def failure_unread(home: Home) -> None:
    done = home.shell("$PY $SUITE/etl_process.py --page nope.html 2>&1 | head -4; echo ${PIPESTATUS[0]}")
    assert done.stdout.splitlines()[-1] == "66", done.stdout


@attack(FAMILY, "a failure whose messages nobody reads")
def failure_into_nothing(home: Home) -> None:
    for script, option in (("etl_process", "--page"), ("extract", "--page"), ("transform", "--input")):
        done = home.shell(f"$PY $SUITE/{script}.py {option} nope.html 2>&1 | true; echo ${{PIPESTATUS[0]}}")
        assert done.stdout.split() == ["66"], (script, done.stdout)


@attack(FAMILY, "messages onto a full disk")
def messages_on_full_disk(home: Home) -> None:
    done = home.shell(f"{RUN} 2>/dev/full; echo $? >&2")
    whole(home, int(done.stderr))


@attack(FAMILY, "each stage by hand with its messages onto a full disk")
def stages_on_full_disk(home: Home) -> None:
    for command in ("extract.py --page $PAGE", "transform.py", "load.py"):
        done = home.shell(f"$PY $SUITE/{command} 2>/dev/full; echo $? >&2")
        assert done.stderr.strip() == "0", (command, done.stderr)
    assert home.countries() == COUNTRIES
    assert home.log().count("end: done") == 3


@attack(FAMILY, "the tables into head -1")
def tables_into_head(home: Home) -> None:
    home.fill()
    done = home.shell("$PY $SUITE/load.py | head -1; echo ${PIPESTATUS[0]}")
    assert done.stdout.splitlines()[-1] == "0", done
    assert "[load] error" not in done.stderr


@attack(FAMILY, "the tables onto a full disk are an error")
def tables_on_full_disk(home: Home) -> None:
    done = home.shell(f"{RUN} > /dev/full")
    assert done.returncode == 74, done
    assert "No space left on device" in done.stderr
    assert home.countries() == COUNTRIES
