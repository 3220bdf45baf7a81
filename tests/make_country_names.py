"""Makes data/country_names.json of CLDR's names: what countries are called in the languages of the IMF and the UN.

Usage: pip install babel
       python -m tests.make_country_names

CLDR comes with Babel: names under the Unicode licence, code under BSD. A name that two countries have is left out, and
so is one that the reference table knows.
"""

from __future__ import annotations

import json

from gdp.transform.countries import COUNTRY_NAMES, fold, reference

# the UN's official languages, what else the IMF publishes in, and Korean, as there is a README
LANGUAGES = ("ar", "zh", "zh_Hant", "fr", "ru", "es", "ja", "pt", "ko")


def main() -> None:
    """Write the names of each country, by its ISO code."""
    from babel import Locale

    countries = {country.alpha2: country for country in reference().countries.values() if country.alpha2}
    found: dict[str, dict[str, str]] = {}  # by folded name: the name by ISO code
    for language in LANGUAGES:
        territories = Locale.parse(language).territories
        for alpha2, country in countries.items():
            name = territories.get(alpha2)
            if name and reference().find(name) is None:
                found.setdefault(fold(name), {}).setdefault(country.iso3, name)
    names: dict[str, list[str]] = {}
    for of_countries in found.values():
        if len(of_countries) == 1:
            [(iso3, name)] = of_countries.items()
            names.setdefault(iso3, []).append(name)
    lines = [f"{json.dumps(iso3)}: {json.dumps(names[iso3], ensure_ascii=False)}" for iso3 in sorted(names)]
    COUNTRY_NAMES.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
