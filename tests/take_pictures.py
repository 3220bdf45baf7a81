"""Takes the README's pictures of real runs: `python -m tests.take_pictures`.

Needs Chromium and tmux. The runs are of the real pages of ../shared where that is beside the project, and of the page
that ships.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal, NamedTuple

from playwright.sync_api import ViewportSize
from rich.console import Console
from rich.text import Text

from tests.conftest import NO_NETWORK, PAGES, PROJECT, shared_pages
from tests.looked_at import chromium, script
from tests.page_builder import SHIPPED

PICTURES = PROJECT / "docs" / "pictures"
COLUMNS, LINES = 100, 44
PATIENCE_S = 60
SETTLED_MS = 200
WEB_FONTS = re.compile(r"@font-face \{.*?\}", re.DOTALL)  # a picture asks nobody for a font


def main() -> None:
    """Run the suite in a folder of its own, and take every picture."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"GDP_ETL_HOME": folder, **NO_NETWORK}
        for page in shared_pages(PAGES[:-1]):
            script("etl_process.py", "--no-report", "--page", page)
        take_terminal(PICTURES / "terminal.svg")
        take_page(Path(folder) / "results" / "report.html")


def take_terminal(target: Path) -> None:
    """Run everything at a real terminal, and draw its last screen."""
    command = f"{sys.executable} etl_process.py --page {SHIPPED.relative_to(PROJECT)}; echo; echo exit code $?"
    tmux = ["tmux", "-L", "pictures"]
    size = ["-x", str(COLUMNS), "-y", str(LINES)]
    environment = {**os.environ, "PS1": "$ "}
    subprocess.run(
        [*tmux, "new-session", "-d", *size, f"{command}; sleep 60"], cwd=PROJECT, env=environment, check=True
    )
    try:
        until = time.monotonic() + PATIENCE_S
        shown = ""
        while "exit code" not in shown and time.monotonic() < until:
            time.sleep(0.5)
            capture = [*tmux, "capture-pane", "-e", "-p", "-S", "-300"]
            shown = subprocess.run(capture, capture_output=True, text=True, check=True).stdout
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    prompt = "$ python etl_process.py\n"
    lines = shown.partition("exit code")[0].replace(os.environ["GDP_ETL_HOME"] + "/", "").splitlines()
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    console.print(Text(prompt) + Text.from_ansi("\n".join(lines[:LINES])))
    target.write_text(WEB_FONTS.sub("", console.export_svg(title="GDP by country")), encoding="utf-8")


class View(NamedTuple):
    """A picture: the address of the page, the screen, and the part that is at the top."""

    name: str
    part: str
    scheme: Literal["light", "dark"]
    width: int
    height: int
    dots: int = 1
    address: str = ""
    media: Literal["screen", "print"] = "screen"


VIEWS = (
    View("desktop", "h1", "light", 1280, 900),
    View("dark", "#world", "dark", 1280, 900),
    View("years", "#years", "light", 1000, 760, address="#country=KOR,JPN,DEU,IND"),
    View("phone", "#world", "light", 390, 780, 2),
    View("paper", "h1", "dark", 794, 1123, media="print"),  # A4
)


def take_page(report: Path) -> None:
    """Take the report on a desktop, a dark screen, a phone and paper."""
    with chromium() as browser:
        for view in VIEWS:
            size = ViewportSize(width=view.width, height=view.height)
            page = browser.new_page(viewport=size, color_scheme=view.scheme, device_scale_factor=view.dots)
            page.emulate_media(media=view.media)
            page.goto(report.as_uri() + view.address)
            page.wait_for_selector("html[data-ready=yes]", state="attached")
            page.evaluate("part => document.querySelector(part).scrollIntoView()", view.part)
            page.wait_for_timeout(SETTLED_MS)
            page.screenshot(path=PICTURES / f"{view.name}.png")
            page.close()


if __name__ == "__main__":
    main()
