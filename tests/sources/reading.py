"""Contents read as a source reads them."""

from __future__ import annotations

from datetime import datetime, timezone

from gdp.sources import Month, Page, Reading
from gdp.sources.registry import SOURCES


def read_as(source: str, content: bytes, release: Month | None = None) -> Reading:
    """Return the records of a content that a source reads."""
    return SOURCES[source].read(Page(content, "a file", datetime.now(timezone.utc)), release)
