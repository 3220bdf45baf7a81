"""The message to a chat is short, and no name on a page calls people there."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl_process import reach
from gdp.places import Place
from gdp.report.feed import MOST_FINDINGS, message
from gdp.sources import Unreachable
from gdp.store.database import asked
from gdp.store.history import History
from gdp.validate.findings import Finding, checks_file_of
from tests.page_builder import SHIPPED
from tests.store.loading import load_page
from utils import checks_file


def test_a_few_findings_are_named_and_the_rest_counted_and_no_name_calls_anybody(home: Path) -> None:
    load_page(home / "x.db", SHIPPED)
    found = [Finding(f"check {n}", False, "IMF", "2025", "<!channel> and @everyone", "x") for n in range(9)]
    checks_file().parent.mkdir(exist_ok=True)
    checks_file().write_bytes(checks_file_of(found, "x", {}))
    with asked(Place(home / "x.db")) as connection:
        text = message(History(connection), None)["text"]
    assert text.count("Found: ") == MOST_FINDINGS and f"and {9 - MOST_FINDINGS} findings more" in text
    assert "check 0" in text and "<!" not in text and "@everyone" not in text


@pytest.mark.parametrize(
    "quoted", ["max retries: url: /services/T0KEN5", "no host hooks.example.org", "https://x/T0KEN5"]
)
def test_a_reason_that_quotes_a_part_of_the_address_is_not_shown(
    quoted: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise Unreachable(quoted)

    reach("--notify", "https://hooks.example.org/services/T0KEN5", fail)
    assert capsys.readouterr().err.endswith(" warning: could not call the address of --notify\n")
