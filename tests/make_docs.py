"""The generated parts of the documents: `python -m tests.make_docs` writes them, and a test compares them.

A part begins with `<!-- generated: NAME -->` and ends with `<!-- end -->`. PARTS has the function of each name.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from gdp.model import (
    CLEAN_FIELDS,
    CONFIRMATION_FIELDS,
    CONFIRMED,
    ESTIMATE_FIELDS,
    FLAGS,
    HEADLINE_FIELDS,
    LOAD_FIELDS,
    PUBLISHERS,
    RAW_FIELDS,
    SOURCE_FLAGS,
    Field,
)
from gdp.options import ETL, EXTRACT, LOAD, REPORT, TRANSFORM, Option
from gdp.sources.registry import SOURCES
from gdp.validate import thresholds
from tests.make_datasette import HISTORY_DAYS, LATEST
from utils import PROJECT, write_whole

DOCUMENTS = sorted([*(PROJECT / "docs").glob("*.md"), *PROJECT.glob("*.md")])
RESULTS = PROJECT / "tests" / "benchmarks" / "RESULTS.md"
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
TYPES = {str: "text", int: "whole number", float: "number"}
DETECTION_COLUMNS = (0, 1, 2, 3, 4)  # of the table of single edits: the edit, the same release, the next release
MAX_VALUE_CHARACTERS = 120


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    cells = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(map(escaped, row))} |\n" for row in cells)


def escaped(cell: str) -> str:
    """Return a text as a cell of a table has it."""
    return cell.replace("|", "\\|")


# --- from the model ---------------------------------------------------------------------------------------------------


def columns(fields: Mapping[str, Field]) -> str:
    """Return the table of a record's fields."""
    rows = []
    for name, field in fields.items():
        kind = TYPES[field.python_type] + (f", {field.unit}" if field.unit else "")
        rows.append([f"`{name}`", kind + (", may be empty" if field.is_nullable else ""), f"{field.description}."])
    return table(["column", "type", "meaning"], rows)


def tables() -> str:
    """Return the tables of the database with their columns."""
    days = [[f"`{name}`", "text", f"{text}."] for name, text in HISTORY_DAYS.items()]
    latest = ", ".join(f"`{name}`" for name in LATEST)
    parts = {
        "Countries_by_GDP": ("The newest IMF figure of each country, one row per country.", columns(HEADLINE_FIELDS)),
        "GDP_Latest": (
            "A view: the newest figure of each country, institution and publisher. `GDP_Current` is its old name.",
            f"{latest}: as in the other tables.\n",
        ),
        "GDP_Estimates": (
            "Every figure ever loaded, one row for as long as it is current. Meanwhile `Until` is 9999-12-31.",
            columns(ESTIMATE_FIELDS),
        ),
        "GDP_History": (
            "A view: `GDP_Estimates` with two more columns.", table(["column", "type", "meaning"], days)
        ),
        "Loads": ("The vintages that were loaded.", columns(LOAD_FIELDS)),
        "Confirmations": ("Findings that a person checked.", columns(CONFIRMATION_FIELDS)),
    }  # fmt: skip
    return "\n".join(f"### {name}\n\n{text}\n\n{rows}" for name, (text, rows) in parts.items())


def files() -> str:
    """Return the fields of raw and clean records."""
    names = ", ".join(f"`{name}`" for name in CLEAN_FIELDS)
    return (
        f"**Raw record**, written by extract:\n\n{columns(RAW_FIELDS)}\n"
        f"**Clean record**, written by transform, with the columns of `GDP_Estimates`: {names}.\n"
    )


def flags() -> str:
    """Return the codes of Flags."""
    setters = {**dict.fromkeys(SOURCE_FLAGS, "the source"), CONFIRMED: "a person"}
    return table(
        ["flag", "set by", "meaning"],
        [[f"`{code}`", setters.get(code, "a check"), text] for code, text in FLAGS.items()],
    )


def publishers() -> str:
    """Return the publishers with their licences."""
    rows = [
        [f"`{one.name}`", f"[{one.title}]({one.url})", f"[{one.licence_title}]({one.licence_url})"]
        for one in PUBLISHERS.values()
    ]
    return table(["publisher", "title", "licence or terms"], rows)


def addresses() -> str:
    """Return the addresses of the sources, by the variable that replaces each."""
    rows = [[f"`{name}`", url] for source in SOURCES.values() for name, url in source.addresses.items()]
    return table(["variable", "instead of"], rows)


# --- from the options -------------------------------------------------------------------------------------------------


def options() -> str:
    """Return every option, its help, and the scripts that have it."""
    scripts: dict[tuple[str, str], list[str]] = {}
    for script in (ETL, EXTRACT, TRANSFORM, LOAD, REPORT):
        for option in script.options:
            scripts.setdefault((shown(option), option.help), []).append(script.name.removesuffix(".py"))
    rows = [[f"`{name}`", text, ", ".join(names)] for (name, text), names in sorted(scripts.items())]
    return table(["option", "meaning", "of"], rows)


def shown(option: Option) -> str:
    """Return an option as its usage is written."""
    value = f" {option.metavar}" if option.metavar else ""
    return option.name + value + (" …" if option.is_list else "")


# --- from the thresholds ----------------------------------------------------------------------------------------------


def limits() -> str:
    """Return the thresholds by section, each with its value and the comment that states what was observed."""
    source = inspect.getsource(thresholds)
    lines = source.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("# --- ")]
    found: dict[int, list[list[str]]] = {}
    for node in ast.parse(source).body:
        names = ", ".join(f"`{name}`" for name in assigned(node))
        section = max((start for start in starts if start < node.lineno), default=-1)
        if names and section >= 0:
            assert isinstance(node, ast.Assign)
            found.setdefault(section, []).append([names, f"`{value_of(node)}`", observed(node, lines)])
    heading = ["threshold", "value", "observed"]
    return "\n".join(
        f"### {with_capital(lines[start].strip('# -'))}\n\n{table(heading, rows)}" for start, rows in found.items()
    )


def assigned(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement assigns."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))


def value_of(node: ast.Assign) -> str:
    """Return the value that is assigned, or of a long one how many entries it has."""
    text = ast.unparse(node.value)
    if len(text) <= MAX_VALUE_CHARACTERS:
        return text[1:-1] if isinstance(node.value, ast.Tuple) else text
    value = node.value.args[0] if isinstance(node.value, ast.Call) else node.value
    entries = value.keys if isinstance(value, ast.Dict) else getattr(value, "elts", [])
    return f"{len(entries)} entries"


def observed(node: ast.Assign, lines: Sequence[str]) -> str:
    """Return the comments above a statement and in it, as one text."""
    first = node.lineno - 1
    while first and lines[first - 1].startswith("# ") and not lines[first - 1].startswith("# ---"):
        first -= 1
    comments = [re.split(r"(?:^|\s)# ", line, maxsplit=1) for line in lines[first : node.end_lineno]]
    texts = [parts[1] for parts in comments if len(parts) > 1 and not parts[1].startswith(("fmt:", "noqa"))]
    return with_capital(" ".join(texts))


def with_capital(text: str) -> str:
    """Return a text with a capital first letter."""
    return text[:1].upper() + text[1:]


# --- from the benchmark -----------------------------------------------------------------------------------------------


def detection() -> str:
    """Return the rates of detection for the commonest cases, from RESULTS.md."""
    text = RESULTS.read_text(encoding="utf-8")
    _, _, text = text.partition("## Detection of edits")
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    rows = [[line[number] for number in DETECTION_COLUMNS] for line in lines]
    end = next(number for number, row in enumerate(rows) if number and row[0] == "edit")  # the table of whole columns
    return table(rows[0], [row for row in rows[1:end] if not row[0].startswith("--")])


PARTS: dict[str, Callable[[], str]] = {
    "tables": tables, "files": files, "flags": flags, "publishers": publishers, "addresses": addresses,
    "options": options, "thresholds": limits, "detection": detection,
}  # fmt: skip


def generated(text: str) -> str:
    """Return a document with its generated parts made again; raises KeyError for a name that is not in PARTS."""
    return PART.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}{found[3]}", text)


def main() -> None:
    """Write the documents whose generated parts changed."""
    for path in DOCUMENTS:
        before = path.read_text(encoding="utf-8")
        after = generated(before)
        if after != before:
            write_whole(Path(path), after.encode())
            print(f"{path.relative_to(PROJECT)} written")


if __name__ == "__main__":
    main()
