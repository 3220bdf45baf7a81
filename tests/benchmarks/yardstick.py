"""The yardstick: the whole job in one process, as such scripts do it, with requests and pandas.read_html.

Written with care for one layout, that of the end of 2025, and without what the suite adds: no log, no checks, no lock,
no second institution, regions by a plain look-up. Usage: yardstick.py URL FOLDER
"""

from __future__ import annotations

import io
import json
import re
import sqlite3
import sys
from pathlib import Path

import pandas as pd
import requests

TABLE = Path(__file__).parents[2] / "data" / "country_region_table.json"


def main(url: str, folder: Path) -> None:
    answer = requests.get(url, headers={"User-Agent": "yardstick"}, timeout=10)
    answer.raise_for_status()
    found = pd.read_html(io.StringIO(answer.text), match="Country/Territory", flavor="lxml")[0]
    raw = pd.DataFrame({"Country": found.iloc[:, 0], "GDP": found.iloc[:, 1].astype(str)})
    raw.to_json(folder / "Countries_by_GDP.json", orient="records")
    clean = transform(raw)
    clean.to_json(folder / "Countries_by_GDP_Processed.json", orient="records")
    load(clean, folder / "World_Economies.db")


def transform(raw: pd.DataFrame) -> pd.DataFrame:
    names = raw["Country"].str.replace(r"\[.*?\]", "", regex=True).str.strip()
    figures = raw["GDP"].str.replace(r"\(.*?\)|,", "", regex=True).str.strip()
    clean = pd.DataFrame({"Country": names, "GDP_USD_billion": pd.to_numeric(figures, errors="coerce") / 1000})
    clean = clean.dropna().query("Country != 'World'").round(2)
    regions = {
        name: entry["region"]
        for entry in json.loads(TABLE.read_text(encoding="utf-8"))["countries"].values()
        for name in (entry["name"], *entry["aliases"])
    }
    clean["Region"] = clean["Country"].map(regions)
    return clean.sort_values("GDP_USD_billion", ascending=False)


def load(clean: pd.DataFrame, database: Path) -> None:
    connection = sqlite3.connect(database)
    clean.to_sql("Countries_by_GDP", connection, if_exists="replace", index=False)
    print(pd.read_sql("SELECT * FROM Countries_by_GDP WHERE GDP_USD_billion >= 100", connection).to_string())
    print(clean.groupby("Region")["GDP_USD_billion"].apply(lambda g: g.nlargest(5).mean()).round(2).to_string())
    connection.close()


if __name__ == "__main__":
    assert re.match(r"https?://", sys.argv[1])
    main(sys.argv[1], Path(sys.argv[2]))
