"""Pages on their way into a database by function calls, where no process is what is tested."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import load
import transform
from gdp.options import TRANSFORM, parse
from gdp.places import Place
from gdp.record_files import write_records
from gdp.sources.cache import open_page
from gdp.sources.wikipedia import page as wikipedia


def clean_file_of(page: str | Path, folder: Path) -> Path:
    """Write what extract and transform make of a page's text, or of a saved one, and return the clean file."""
    if isinstance(page, Path):
        saved = open_page(page)
        extracted = wikipedia.parse(saved.content, str(page), saved.saved)
    else:
        extracted = wikipedia.parse(page.encode(), "a page", datetime.now(timezone.utc))
    (folder / "results").mkdir(exist_ok=True)
    raw, clean = folder / "results" / "raw.json", folder / "results" / "clean.json"
    write_records(raw, extracted.records)
    options = parse(TRANSFORM, ["--input", str(raw), "--output", str(clean)])
    transform.prepare_transform(options)()
    return clean


def load_page(page: str | Path, home: Path, force: bool = False) -> list[str]:
    """Take a page through all stages, and return the checks that found something; raises StageError (65)."""
    clean = clean_file_of(page, home)
    loaded = load.load(clean, Place(home / "sqliteDB" / "World_Economies.db"), force)
    return [str(vintage) for vintage in loaded.refused]
