"""Which country a person means, by a code or a name in another language."""

from __future__ import annotations

import json

import pytest

from gdp.transform.countries import COUNTRY_NAMES, country_asked_for, reference


@pytest.mark.parametrize(
    "name", ["KOR", "kr", "KR ", "South Korea", "korea, republic of", "대한민국", "Corée du Sud", "韩国", "南韓"]
)
def test_a_country_is_found_by_codes_and_in_other_languages(name: str) -> None:
    country = country_asked_for(name)
    assert country and country.iso3 == "KOR"


def test_names_in_other_languages_assign_no_figures() -> None:
    assert reference().find("대한민국") is None and reference().find("KR") is None


def test_every_two_letter_code_and_every_name_is_of_one_country() -> None:
    countries = set(reference().countries.values())
    codes = [country.alpha2 for country in countries if country.alpha2]
    assert len(codes) == len(set(codes)) > 240
    for country in countries:
        assert country.alpha2 is None or country_asked_for(country.alpha2) in (
            country,
            reference().find(country.alpha2),
        )
    for iso3, names in json.loads(COUNTRY_NAMES.read_text(encoding="utf-8")).items():
        assert all((found := country_asked_for(name)) and found.iso3 == iso3 for name in names)


@pytest.mark.parametrize("name", ["", "X", "ZZ", "Narnia", "123"])
def test_what_is_no_country_is_not_found(name: str) -> None:
    assert country_asked_for(name) is None
