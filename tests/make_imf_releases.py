"""The IMF's releases that come with the suite, made from a table of their figures: years × releases, by country.

    python tests/make_imf_releases.py ../shared/facts/weo_gdp_releases.csv.gz

All years of the newest whole release are written, and of the others ten years before to two after, which is what a page
is compared with. The same table gives the same bytes.
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from gdp.sources.imf.releases import LAST_ACTUAL, RELEASES_FILE, WHOLE_RELEASE
from utils import write_whole

YEARS_BEFORE, YEARS_AFTER = 10, 2


def main(table: str) -> None:
    """Write data/imf_releases.csv.gz."""
    content = bundle_of(Path(table))
    write_whole(RELEASES_FILE, content)
    print(f"{len(content):,} bytes in {RELEASES_FILE}")


def bundle_of(table: Path) -> bytes:
    """Return the content of the file, from a table of release, iso3, year, gdp_billion_usd, last_actual."""
    with gzip.open(table, "rt", encoding="utf-8", newline="") as lines:
        figures = list(csv.DictReader(lines))
    number = Counter(figure["release"] for figure in figures)
    releases = sorted(number)
    newest = max(release for release in releases if number[release] > WHOLE_RELEASE)
    rows: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for figure in figures:
        release, year = figure["release"], int(figure["year"])
        if release == newest or -YEARS_BEFORE <= year - int(release[:4]) <= YEARS_AFTER:
            rows[figure["iso3"], figure["year"]][release] = figure["gdp_billion_usd"]
            if figure["last_actual"]:
                rows[figure["iso3"], LAST_ACTUAL][release] = figure["last_actual"]
    lines_out = [["iso3", "year", *releases]]
    lines_out += [[*key, *(row.get(release, "") for release in releases)] for key, row in sorted(rows.items())]
    text = "".join(",".join(line) + "\n" for line in lines_out)
    return gzip.compress(text.encode(), 9, mtime=0)


if __name__ == "__main__":
    main(sys.argv[1])
