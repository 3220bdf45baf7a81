"""Asking the IMF and the World Bank: for what they say today, or for what they said in a past release or version."""

from __future__ import annotations

from datetime import datetime, timezone

from gdp.places import without_credentials
from gdp.model import IMF
from gdp.runtime.run_log import run_log
from gdp.sources import Extracted, Refused, Unreachable
from gdp.sources.cache import Page, kept_name
from gdp.sources.detect import read_answer
from gdp.sources.imf import outlook as imf
from gdp.sources.imf.outlook import Answer
from gdp.sources.imf.releases import WITHOUT_GDP, ReleaseMonth, releases_between
from gdp.sources.payloads import MIN_COUNTRIES, check_whole
from gdp.sources.telling import keep_once, refusal, tell_reading, unreachable
from gdp.sources.world_bank import api as world_bank
from gdp.sources.world_bank import archive as wdi_archive
from utils import Exit, StageError

Span = tuple[ReleaseMonth, ReleaseMonth]


def ask(source: str, release: ReleaseMonth | None = None) -> Answer:
    """Return what a source answers, and who of it did; raises Unreachable."""
    if source == IMF.name:
        return imf.fetch(release)
    if release is None:
        return Answer(world_bank.as_kept(world_bank.fetch()), "its API")
    version = wdi_archive.fetch(f"{release.year}{release.month:02}")
    return Answer(world_bank.as_kept(version), "the archives of its API")


def wanted_releases(source: str, span: Span) -> list[ReleaseMonth]:
    """Return the releases of a source in a span of months, in order.

    Raises StageError (2) where it has none in that span, Unreachable where the World Bank's cannot be listed.
    """
    if source == IMF.name:
        wanted = [release for release in releases_between(*span) if release != WITHOUT_GDP]
        ever = f"one each April and October, in 2011 September, and in {WITHOUT_GDP} none with nominal GDP"
    else:
        wanted = [ReleaseMonth(int(v[:4]), int(v[4:])) for v in wdi_archive.versions_between(*span)]
        ever = "those that /v2/sources/57/version lists"
    if not wanted:
        asked = "..".join(dict.fromkeys(map(str, span)))
        raise StageError(Exit.USAGE, f"{source} has no release of {asked}: it has {ever}; name one with --release")
    return wanted


def fetch_answer(source: str, release: Span | None = None) -> Extracted:
    """Return what the IMF or the World Bank answers, and keep it; raises StageError: 69 unreachable, 65 refused."""
    try:
        month = wanted_releases(source, release)[0] if release else None
        answer = ask(source, month)
    except Unreachable as reason:
        run_log.facts["fetched"] = f"could not fetch: {without_credentials(str(reason))}"
        raise unreachable(source, reason, "try again later, or name a kept answer with --page") from reason
    run_log.info(f"{source}: {answer.sender} answered")
    page = Page(answer.content, f"the API of {source}", datetime.now(timezone.utc))
    reading = read_file(source, page, release)
    try:
        check_whole(reading.records)
    except Refused as reason:
        raise refusal(page.location, reason) from reason
    name = kept_name(reading.records[0]["As_of"], answer.content, source=source)
    keep_once(name, page, f"the answer of {source}")
    return reading


def read_file(source: str, page: Page, release: Span | None = None) -> Extracted:
    """Return what an answer or file of the IMF or the World Bank says; raises StageError (65) when it is refused."""
    try:
        reading = read_answer(source, page, release[0] if release and source == IMF.name else None)
    except Refused as reason:
        raise refusal(page.location, reason) from reason
    tell_reading(reading, page)
    countries = len({record["Country"] for record in reading.records})
    if countries < MIN_COUNTRIES:
        run_log.warn(f"{page.location} is about {countries} countries: a part of a release, and no vintage by itself")
    return reading
