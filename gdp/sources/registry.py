"""The registry of sources. Nothing else lists them.

To add a source: its `Publisher` in gdp/model.py, its module with a `SOURCE`, and its line in `SOURCES` here.
"""

from __future__ import annotations

import re
from pathlib import Path

from gdp.places import without_credentials
from gdp.runtime.run_log import run_log
from gdp.runtime.terminal import progress
from gdp.sources import Answer, Missing, Month, Page, Reading, Refused, Releases, Source, Span, Unreachable
from gdp.sources.cache import cache_page, cached_name, cached_pages
from gdp.sources.http import paced
from gdp.sources.imf.source import SOURCE as IMF_SOURCE
from gdp.sources.payloads import check_whole, is_json, read_json, refuse_web_page
from gdp.sources.tabular_files import tables_of, unnamed_table
from gdp.sources.wikipedia.page import SOURCE as WIKIPEDIA_SOURCE
from gdp.sources.wikipedia.unwrap import in_words, is_page
from gdp.sources.world_bank import SOURCE as WORLD_BANK_SOURCE
from utils import Exit, StageError, first_few

SOURCES = {source.name: source for source in (WIKIPEDIA_SOURCE, IMF_SOURCE, WORLD_BANK_SOURCE)}

# A gateway's refusal, saved under the name of the file; no page of Wikipedia has such a title.
_REFUSAL = re.compile(rb"<title>\s*(?:Access Denied|Request Rejected|40[13] )", re.IGNORECASE)
MAX_SILENT = 2  # releases in a row that get no answer at all: then there is no network
PAUSE_S = 1.0  # neither the IMF nor DBnomics publishes a limit; a release is up to four requests


# --- recognising and reading ------------------------------------------------------------------------------------------


def source_of(content: bytes) -> Source:
    """Return the source of a content, by what is in it; raises Refused if it is of none, or of two."""
    if _REFUSAL.search(content[:4096]):
        refuse_web_page(content, "figures")
    found = [source for source in SOURCES.values() if source.detect(content)]
    if len(found) == 1:
        return found[0]
    if found:
        raise Refused(f"it may be of {' or '.join(source.name for source in found)}; name one with --source")
    if is_json(content):
        read_json(content)  # broken JSON is refused with the place
    elif not is_page(content):
        tables_of(content)  # and a broken workbook or archive, or unclear decimal commas, with the fault
    labels = ", ".join(source.publisher.label for source in SOURCES.values())
    marks = " or ".join(source.mark for source in SOURCES.values() if source.mark)
    raise Refused(f"it is {unnamed_table(content, marks) or in_words(content)}, and no page or file of {labels}")


def read_any(page: Page, release: Month | None = None) -> Reading:
    """Return the records of a page or file of any source; raises Refused."""
    return source_of(page.content).read(page, release)


# --- past releases ----------------------------------------------------------------------------------------------------


def releases_in(source: Source, span: Span) -> list[Month]:
    """Return the releases of a source in a span of months, in order.

    Raises StageError (2) if it has none in that span, Unreachable if its list cannot be fetched.
    """
    releases = _releases_of(source)
    found = releases.between(*span)
    if not found:
        months = "..".join(dict.fromkeys(map(str, span)))
        message = f"{source.name} has no release of {months}: it has {releases.meaning}; name one with --release"
        raise StageError(Exit.USAGE, message)
    return found


def _releases_of(source: Source) -> Releases:
    if source.releases is None:
        others = [name for name, other in SOURCES.items() if other.releases]
        raise StageError(Exit.USAGE, f"{source.name} has no releases; --release is for {others}")
    return source.releases


def fetch_releases(source: Source, span: Span, pause_s: float | None) -> tuple[list[Path], str | None]:
    """Return the cached files of a span's releases, in order, and which could not be fetched, in one line, or None.

    Raises StageError (69) if not even a list of them can be fetched.
    """
    try:
        wanted = releases_in(source, span)
    except Unreachable as reason:
        message = f"could not list the releases of {source.name} ({reason}); try again"
        raise StageError(Exit.UNREACHABLE, message) from reason
    for release, why in _releases_of(source).dropped.items():
        if span[0] <= release <= span[1]:
            run_log.info(f"skipped {release}: {why}")
    paths = {release: path for release in wanted if (path := _cached(source, release))}
    missing = [release for release in wanted if release not in paths]
    run_log.info(f"{len(wanted)} releases: {len(paths)} cached already, {len(missing)} to fetch")
    failed = _fetch_missing(source, missing, paths, PAUSE_S if pause_s is None else pause_s)
    run_log.facts |= {"rows_in": len(wanted), "rows_out": len(paths)}
    problem = f"{len(failed)} of {len(wanted)} releases could not be fetched: {first_few(failed, '; ')}; run again"
    return [paths[release] for release in wanted if release in paths], problem if failed else None


def _fetch_missing(source: Source, missing: list[Month], paths: dict[Month, Path], pause_s: float) -> list[str]:
    """Add the files of the releases that can be fetched to `paths`; return which cannot be, with the reason."""
    failed: list[str] = []
    silent = 0
    wait = paced(pause_s)
    with progress(len(missing), "releases fetched") as advance:
        for release in missing:
            try:
                if silent == MAX_SILENT:
                    raise Unreachable("not requested, as there is no answer")
                wait()
                paths[release] = _cache(source, release, source.fetch(release))
                silent = 0
            except (Unreachable, Refused) as reason:
                silent = 0 if isinstance(reason, Missing | Refused) else min(silent + 1, MAX_SILENT)
                if answer := _releases_of(source).bundled(release):
                    run_log.detail(f"{release}: read {answer.sender}, as it could not be fetched: {reason}")
                    paths[release] = _cache(source, release, answer)
                    continue
                failed.append(f"{release} ({without_credentials(str(reason))})")
                run_log.detail(f"could not fetch {failed[-1]}")
            advance(1)
    return failed


def _cached(source: Source, release: Month) -> Path | None:
    """Return the last cached answer of a release."""
    days = _releases_of(source).days(release)
    cached = [path for path in cached_pages(source.name) if path.name[:10] in days]
    return max(cached, key=lambda path: path.stat().st_mtime_ns, default=None)


def _cache(source: Source, release: Month, answer: Answer) -> Path:
    """Cache the answer for a release, and return its file; raises Refused."""
    reading = source.read(answer.page, release)
    check_whole(reading.records)
    path = cache_page(cached_name(source.name, reading.records[0]["As_of"], answer.page.content), answer.page.content)
    run_log.detail(f"the release of {release}: {answer.sender} answered; cached as {path}")
    return path
