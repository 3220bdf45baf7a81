"""Make data/history.jsonl.gz, the vintages that come with the suite, of the real pages beside the project.

    python -m tests.make_history

What it writes are figures and names, as extract and transform make them of the pages. One page is left out: that of the
morning of 30 December 2025, whose columns had no source and which its editors took back in the evening.
"""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from gdp.sources.wikipedia.page import PAGE_TITLE, SITE_URL
from gdp.store.seed import HISTORY_FILE
from tests.conftest import MISJUDGED, PAGES, PROJECT, shared_pages

TAKEN_BACK = "misjudged/2025-12-30_enwiki_rev1330242352"


def main() -> None:
    """Read every page and write their clean records, the oldest page first."""
    with tempfile.TemporaryDirectory() as folder:
        for page in shared_pages([page for page in (*PAGES, *MISJUDGED) if page != TAKEN_BACK]):
            (Path(folder) / page.name).symlink_to(page)
        environment = {**os.environ, "GDP_ETL_HOME": folder}
        raw, clean = (f"{folder}/results/Countries_by_GDP{what}.jsonl" for what in ("", "_Processed"))
        for script, option, place in (("extract.py", "--pages", folder), ("transform.py", "--input", raw)):
            subprocess.run([sys.executable, PROJECT / script, option, place], env=environment, check=True)
        # a page that does not say its revision has its file for a source, which nobody else has
        source = f'"Source": "{SITE_URL}/wiki/{PAGE_TITLE}"'
        lines = re.sub(f'"Source": "{folder}/[^"]*"'.encode(), source.encode(), Path(clean).read_bytes())
        HISTORY_FILE.write_bytes(gzip.compress(lines, mtime=0))


if __name__ == "__main__":
    main()
