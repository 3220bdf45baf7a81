"""Full disks, quotas, and too few descriptors: one line with the remedy that fits, and the old files stay."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

from tests.attacks.harness import Home, NotPossible, attack, needs, one_line, traced
from tests.conftest import PROJECT
from tests.page_builder import SHIPPED

FAMILY = "full disks, quotas, descriptors"
STAGES = {"extract": ["--page", "page.html"], "transform": [], "load": [], "report": []}


def prepared(home: Home) -> dict[str, bytes]:
    """Run everything once, and write the page of the next day to page.html; return all files but the logs."""
    assert home.run("etl_process", "--page", SHIPPED).returncode == 0
    write_next_page(home.folder / "page.html")
    return files(home)


def write_next_page(path: Path) -> None:
    """Write the page of the next day, with another figure."""
    text = gzip.decompress(SHIPPED.read_bytes()).decode()
    text = text.replace("30 December 2025", "31 December 2025").replace("1330326028", "1330326029")
    path.write_text(text.replace("<td>30,615,743", "<td>30,615,999"))


def files(home: Home) -> dict[str, bytes]:
    return {name: content for name, content in home.written().items() if not name.startswith("log/")}


def under_strace(home: Home, stage: str, call: str, fault: str) -> subprocess.CompletedProcess[str]:
    command = traced(call, fault, sys.executable, PROJECT / f"{stage}.py", *STAGES[stage])
    return subprocess.run(
        command, env=home.environment, capture_output=True, text=True, check=False, timeout=120, cwd=home.folder
    )


@attack(FAMILY, "a quota that is used up, at every file that a stage syncs")
def quota(home: Home) -> None:
    needs("strace")
    before = prepared(home)
    for stage, arguments in STAGES.items():
        done = under_strace(home, stage, "fsync,fdatasync", "error=EDQUOT")
        assert "Traceback" not in done.stderr, done.stderr[-400:]
        one_line(done, 74)
        assert files(home).keys() == before.keys()
        assert home.run(stage, *arguments).returncode == 0


ON_A_SMALL_DISK = """
export GDP_ETL_HOME="$1" && cd "$1"
"$2" "$3/etl_process.py" --quiet --page "$4" > /dev/null 2>&1 || exit 90
mkdir fill && head -c 40000000 /dev/urandom 2> /dev/null | split -a 4 -b 20k - fill/ 2> /dev/null
for files in 0 2 10 30; do
    ls fill/* | head -n $files | xargs -r rm && sync -f .
    for command in "extract.py --page $5" transform.py load.py report.py; do
        messages=$("$2" "$3"/$command 2>&1 > /dev/null)
        echo "${command%% *} $? ${messages##*$'\\n'}"
    done
done
rm -r fill && sync -f .
"$2" "$3/etl_process.py" --quiet --page "$5" > /dev/null 2>&1 || exit 91
"""


def on_a_small_disk(home: Home, mount: str) -> None:
    """Run everything on a disk that a line of bash mounts at $1; then each stage when it is full, then everything."""
    page = home.folder.parent / "page.html"  # outside of the disk
    write_next_page(page)
    arguments = [str(home.folder), sys.executable, str(PROJECT), str(SHIPPED), str(page)]
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", f"({mount}) >&2 || exit 89\n{ON_A_SMALL_DISK}", "bash", *arguments],
        env=home.environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    if done.returncode == 89:
        raise NotPossible(" ".join(done.stderr.split())[-200:])
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    ends = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert len(ends) == 16 and ends[0][1] == "74" and {end[1] for end in ends} <= {"0", "74"}, done.stdout
    assert all("room" in end[2] for end in ends if end[1] == "74"), done.stdout


@attack(FAMILY, "a full tmpfs, filled before each stage")
def full_disk(home: Home) -> None:
    needs("mount")
    on_a_small_disk(home, 'mount -t tmpfs -o size=4m none "$1"')


@attack(FAMILY, "a quota of btrfs that is used up before each stage")
def real_quota(home: Home) -> None:
    needs("mount")
    image = home.folder.parent / "image"
    on_a_small_disk(
        home,
        f'truncate -s 128M {image} && mkfs.btrfs -q {image} && mount -o loop {image} "$1" && btrfs quota enable "$1"'
        ' && btrfs subvolume create "$1/home" && btrfs qgroup limit 6M "$1/home" && mount --bind "$1/home" "$1"',
    )


@attack(FAMILY, "hardly any descriptors")
def few_descriptors(home: Home) -> None:
    before = prepared(home)
    for number in (8, 12, 16, 20):
        for command in (
            "extract.py --page $PAGE",
            "transform.py",
            "load.py",
            "report.py",
            "etl_process.py --page $PAGE",
        ):
            done = home.shell(f"ulimit -n {number}; $PY $SUITE/{command}")
            assert "Traceback" not in done.stderr, (number, command, done.stderr[-400:])
            assert done.returncode in (0, 71), (number, command, done.returncode, done.stderr[-300:])
            assert "make room" not in done.stderr, done.stderr[-300:]
    assert files(home).keys() == before.keys()


@attack(FAMILY, "EMFILE at each file that a stage opens")
def no_descriptor_left(home: Home) -> None:
    needs("strace")
    before = prepared(home)
    for stage in STAGES:
        opened = calls(home, stage)
        for number in sorted({*range(max(1, opened - 12), opened + 1)}):
            done = under_strace(home, stage, "openat", f"error=EMFILE:when={number}")
            assert "Traceback" not in done.stderr, (stage, number, done.stderr[-400:])
            assert done.returncode in (0, 66, 71, 74), (stage, number, done.returncode, done.stderr[-300:])
    assert files(home).keys() == before.keys()


def calls(home: Home, stage: str) -> int:
    """Return how many files a stage opens."""
    log = home.folder / "calls"
    command = ["strace", "-f", "-o", str(log), "-e", "trace=openat", sys.executable, str(PROJECT / f"{stage}.py")]
    subprocess.run(
        [*command, *STAGES[stage]], env=home.environment, cwd=home.folder, capture_output=True, check=False, timeout=120
    )
    number = Path(log).read_text(errors="replace").count("openat(")
    log.unlink()
    return number
