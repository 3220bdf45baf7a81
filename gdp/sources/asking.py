"""Asking the IMF and the World Bank: for what they say today, or for what they said in a past release or version."""

from __future__ import annotations

from gdp.records import IMF_ITSELF
from gdp.sources import imf, wdi_archive, world_bank
from gdp.sources.imf import Answer
from gdp.sources.releases import ReleaseMonth, releases_between
from utils import Exit, StageError

Span = tuple[ReleaseMonth, ReleaseMonth]


def ask(source: str, release: ReleaseMonth | None = None) -> Answer:
    """Return what a source answers, and who of it did; raises Unreachable."""
    if source == IMF_ITSELF:
        return imf.fetch(release)
    if release is None:
        return Answer(world_bank.as_kept(world_bank.fetch()), "its API")
    told = wdi_archive.fetch(f"{release.year}{release.month:02}")
    return Answer(world_bank.as_kept(told), "the archives of its API")


def wanted_releases(source: str, span: Span) -> list[ReleaseMonth]:
    """Return the releases of a source in a span of months, in order.

    Raises StageError (2) where it has none in that span, Unreachable where the World Bank's cannot be listed.
    """
    if source == IMF_ITSELF:
        wanted = list(releases_between(*span))
        ever = "one each April and October, in 2011 April and September"
    else:
        wanted = [ReleaseMonth(int(v[:4]), int(v[4:])) for v in wdi_archive.versions_between(*span)]
        ever = "those that /v2/sources/57/version lists"
    if not wanted:
        asked = "..".join(dict.fromkeys(map(str, span)))
        raise StageError(Exit.USAGE, f"{source} has no release of {asked}: it has {ever}; name one with --release")
    return wanted
