"""Past releases of the IMF, and versions of the World Bank: fetched into data/pages/ in order, and each but once."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from gdp.places import without_credentials
from gdp.model import IMF
from gdp.runtime.run_log import run_log
from gdp.runtime.terminal import progress
from gdp.sources import NotThere, Refused, Unreachable
from gdp.sources.asking import Span, ask, wanted_releases
from gdp.sources.cache import Page, keep, kept_name, kept_pages
from gdp.sources.detect import read_answer
from gdp.sources.folder_of_pages import paced
from gdp.sources.imf.releases import WITHOUT_GDP, ReleaseMonth, known_day, last_day, releases_between
from gdp.sources.payloads import check_whole
from utils import Exit, StageError, first_few

MAX_SILENT = 2  # releases in a row for which nobody answers at all: then there is no network
PAUSE_S = 1.0  # neither the IMF nor DBnomics publishes a limit; a release is up to four requests


def fetch_releases(source: str, span: Span, pause_s: float | None) -> tuple[list[Path], str | None]:
    """Return where the releases of a span are kept, in order, and which could not be had, in one line, or None.

    Raises StageError (69) where not even a list of them can be had.
    """
    try:
        wanted = wanted_releases(source, span)
    except Unreachable as reason:
        raise StageError(Exit.UNREACHABLE, f"could not list the releases of {source} ({reason}); try again") from reason
    if source == IMF.name and WITHOUT_GDP in releases_between(*span):
        run_log.info(f"passed over {WITHOUT_GDP}: the IMF published six series then, and no nominal GDP")
    paths = {release: path for release in wanted if (path := _kept(source, release))}
    missing = [release for release in wanted if release not in paths]
    run_log.info(f"{len(wanted)} releases: {len(paths)} kept already, {len(missing)} to fetch")
    failed: list[str] = []
    silent = 0
    wait = paced(PAUSE_S if pause_s is None else pause_s)
    with progress(len(missing), "releases fetched") as advance:
        for release in missing:
            if silent == MAX_SILENT:
                failed.append(f"{release} (not asked for, as nobody answers)")
                continue
            wait()
            try:
                paths[release] = _fetch(source, release)
                silent = 0
            except (Unreachable, Refused) as reason:
                silent = 0 if isinstance(reason, NotThere | Refused) else silent + 1
                failed.append(f"{release} ({without_credentials(str(reason))})")
                run_log.detail(f"could not fetch {failed[-1]}")
            advance(1)
    run_log.facts |= {"rows_in": len(wanted), "rows_out": len(paths)}
    problem = (
        f"{len(failed)} of {len(wanted)} releases could not be had: {first_few(failed, '; ')}; run again"
        if failed
        else None
    )
    return [paths[release] for release in wanted if release in paths], problem


def _kept(source: str, release: ReleaseMonth) -> Path | None:
    """Return the last answer that is kept of a release."""
    days = {known_day(release) if source == IMF.name else None, last_day(*release)}
    kept = [path for path in kept_pages(source) if path.name[:10] in days]
    return max(kept, key=lambda path: path.stat().st_mtime_ns, default=None)


def _fetch(source: str, release: ReleaseMonth) -> Path:
    """Return where a release is kept that was fetched now; raises Unreachable and Refused."""
    answer = ask(source, release)
    page = Page(answer.content, f"the answer of {answer.sender}", datetime.now(timezone.utc))
    reading = read_answer(source, page, release if source == IMF.name else None)
    check_whole(reading.records)
    path = keep(kept_name(reading.records[0]["As_of"], answer.content, source=source), answer.content)
    run_log.detail(f"fetched the release of {release}: {answer.sender} answered; kept as {path}")
    return path
