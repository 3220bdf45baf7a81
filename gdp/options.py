"""The command lines of all scripts: every option is defined once, with its type and what it may be combined with.

etl_process.py parses its options by the same definitions and rules as the stages, so a wrong one ends the run before
any stage starts, in one line.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn
from urllib.parse import quote

from gdp import __version__
from gdp.model import IMF, INSTITUTIONS, PUBLISHERS, WIKIPEDIA, WORLD_BANK, is_in_future
from gdp.places import DATABASE_VARIABLE, database_named, file_named, without_credentials
from gdp.record_files import STREAMS, holds_lines, is_stream
from gdp.remote_files import PARTS, folder_named, page_named, stream_named
from gdp.runtime.output import MAX_REJECTED_SHARE, Limits, usable_cores

if TYPE_CHECKING:
    from gdp.scale.partitioned_output import Maker
    from gdp.sources import Span

STAGES = ("extract", "transform", "load", "report")

# --- types: each turns a text into a value, or raises ArgumentTypeError with what is wrong ----------------------------


def number(kind: type[int] | type[float], least: float, most: float | None = None) -> Callable[[str], float]:
    """Return a type that takes a number from `least` to `most`."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None
        if most is None and value < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        if most is not None and not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not between {least} and {most}")
        return value

    return read


MAX_SECONDS = 1_000_000  # more than a week and a half is no timeout, and overflows a lock's
seconds, positive_seconds = number(float, 0, MAX_SECONDS), number(float, 0.1, MAX_SECONDS)
share, count, days = number(float, 0, 1), number(int, 1), number(int, 0)


def one_of(*words: str) -> Callable[[str], str]:
    """Return a type that takes one of these words; its error names the nearest one, or all."""

    def read(text: str) -> str:
        if text in words:
            return text
        import difflib

        near = difflib.get_close_matches(text, words, 1)
        hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(words)}"
        raise argparse.ArgumentTypeError(f"{text!r} is unknown; {hint}")

    return read


def institution(text: str) -> str:
    """Return an institution's name, in its own case; raises ArgumentTypeError."""
    names = {name.casefold(): name for name in INSTITUTIONS}
    return names.get(text.casefold()) or one_of(*INSTITUTIONS)(text)


def source_names(text: str) -> list[str]:
    """Return the names of sources, separated by commas, in any case; raises ArgumentTypeError."""
    names = (name.strip().casefold().replace(" ", "_").replace("-", "_") for name in text.split(","))
    return [one_of(*PUBLISHERS)(name) for name in names]


def day(text: str) -> str:
    """Return a day as YYYY-MM-DD; raises ArgumentTypeError for a day that no calendar has."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date().isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no day; write it as 2024-07-01") from None


def past_day(text: str) -> str:
    """Return a day that is not in the future; raises ArgumentTypeError."""
    if is_in_future(day(text)):
        raise argparse.ArgumentTypeError(f"{text} is in the future; name a day that is over")
    return day(text)


def span_of_days(text: str) -> tuple[str, str]:
    """Return the two days of FROM..TO; raises ArgumentTypeError."""
    first, dots, last = text.partition("..")
    if not dots or day(first) > day(last):
        raise argparse.ArgumentTypeError(f"{text} is not FROM..TO; write it as 2015-01-01..2026-11-01")
    return day(first), day(last)


def months(text: str) -> Span:
    """Return the first and last month of MONTH or MONTH..MONTH; raises ArgumentTypeError."""
    from gdp.sources.payloads import month_span

    try:
        return month_span(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no month; write 2013-04, or 2007-10..2026-04") from None


# --- the options ------------------------------------------------------------------------------------------------------


class Option(NamedTuple):
    """An option of the command line; one without a type is a switch."""

    name: str
    help: str
    type: Callable[[str], Any] | None = None
    metavar: str = ""
    dest: str = ""  # the attribute that has its value, if that is not its name
    old_name: str = ""  # which works for one version more
    is_list: bool = False
    default: Any = None

    @property
    def attribute(self) -> str:
        """Return the name of its value among the parsed options."""
        return self.dest or self.name.removeprefix("--").replace("-", "_")


# what to read
PAGE = Option("--page", "a saved page or file, or an address (default: the live page)", page_named, "FILE_OR_URL")
SOURCE = Option(
    "--source", f"one or more of {', '.join(PUBLISHERS)} (default: {WIKIPEDIA.name})", source_names, "NAME",
    is_list=True,
)  # fmt: skip
RELEASE = Option("--release", "with --source: a past release, or all of a span of months", months, "MONTH[..MONTH]")
VERIFY = Option("--verify", "ask the IMF for its current release too, and compare the page with it")
AS_OF_PAGE = Option("--as-of", "when the page was published, if it states no date itself", past_day, "DAY")
ARCHIVE = Option("--archive", "read everything in data/pages/")
PAGES = Option("--pages", "read every page in a folder", folder_named, "FOLDER")
REVISIONS = Option("--revisions", "fetch the page's revisions of these days into data/pages/", span_of_days, "FROM..TO")
EVERY = Option(
    "--every", "with --revisions: the last one of each month (default), quarter or release",
    one_of("month", "quarter", "release"), "PERIOD", default="month",
)  # fmt: skip
REFETCH = Option("--refetch", "with --revisions: fetch again what is cached but unreadable", old_name="--anew")
PAUSE = Option("--pause", "between requests (default: as the source's policy asks)", positive_seconds, "SECONDS")
MAX_AGE = Option("--max-age", "fail where the data is older: a cached page, without network, or --status", days, "DAYS")
RAW_INPUT = Option(
    "--input", f"raw records (default: extract's output); several must be {STREAMS[0]}", stream_named, "FILE",
    is_list=True,
)  # fmt: skip
CLEAN_INPUT = Option("--input", "clean records (default: transform's output)", stream_named, "FILE")

# where results go
RAW_OUTPUT = Option("--output", "where raw records go (default: transform's input)", stream_named, "FILE")
CLEAN_OUTPUT = Option("--output", "where clean records go (default: load's input)", stream_named, "FILE")
EXPORT_OUTPUT = Option("--output", "with --export: where to (default: results)", file_named, "FOLDER")
REPORT_OUTPUT = Option("--output", "the page (default: results/report.html), with plots/ beside it", file_named, "FILE")
DATABASE = Option(
    "--database", f"a file or postgresql://… (default: ${DATABASE_VARIABLE}, else sqliteDB/World_Economies.db)",
    database_named, "FILE_OR_URL",
)  # fmt: skip
EXPORT = Option("--export", "write the tables as CSV, and as Parquet with pyarrow")
JSON = Option("--json", "print the results as one JSON object")
CSV = Option("--csv", "print the answer as CSV")
FORCE = Option("--force", "load in spite of fatal findings, and flag the rows")
NO_HISTORY = Option("--no-history", "do not add the bundled history to a new database")
CHANGES_ONLY = Option("--changes-only", "print what the load changed and nothing else, also with --quiet")

# questions to the database
COUNTRY = Option("--country", "all vintages of one or more countries", str, "CODE_OR_NAME", is_list=True)
AS_OF = Option("--as-of", "both tables as they were at the end of that day", past_day, "DAY")
CHANGES = Option("--changes", "what the last refresh changed")
SINCE = Option("--since", "what changed since that day", day, "DAY")
COMPARE = Option("--compare", "the page's IMF column beside the IMF's own figures")
FINDINGS = Option("--findings", "what the checks found, and what to do about it")
REVISION_STATS = Option("--revision-stats", "how much later vintages revised a country's figures", str, "CODE")
CONFIRM = Option("--confirm", "confirm a country's flagged figure: it is not flagged again", str, "CODE")
YEAR = Option("--year", "with --confirm: of this reference year", count, "YEAR")
INSTITUTION = Option(
    "--institution", "with --confirm: of this institution (default: IMF)", institution, "NAME", default=INSTITUTIONS[0]
)
BECAUSE = Option("--because", "with --confirm: the reason, for whoever reads it later", str, "TEXT")
RESTORE = Option("--restore", "make the database again from an export", file_named, "FOLDER")
SITE = Option(
    "--site", "also write a web site: the report, downloads, a page a vintage, and a feed", file_named, "FOLDER"
)
SITE_URL = Option("--site-url", "with --site: the address at which it is published", str, "URL", default="")

# which stages, and an unattended run
FROM = Option("--from", "begin with this stage", one_of(*STAGES), "STAGE", dest="first")
ONLY = Option("--only", "run this stage alone", one_of(*STAGES), "STAGE")
NO_REPORT = Option("--no-report", "end with load: write no page and no plots")
STATUS = Option("--status", "print how each stage ended last, and how old the data is")
QUIET = Option("--quiet", "print only warnings and errors, and no tables")
WAIT = Option("--wait", "wait for another run to end", seconds, "SECONDS", default=0.0)
TIMEOUT = Option("--timeout", "end a stage that takes longer", positive_seconds, "SECONDS")
MONITOR_INTERVAL = Option(
    "--monitor-interval", "between resource lines in the log (default: 5)", positive_seconds, "SECONDS", default=5.0
)
PING = Option("--ping", "a monitoring service's address, called at start and end", str, "URL")
NOTIFY = Option("--notify", "a chat's webhook: changes are posted there", str, "URL")

# more than fits in memory
WORKERS = Option("--workers", "processes (default: the cores that may be used)", count, "N")
MAX_REJECTED = Option(
    "--max-rejected", f"fail when a larger share is rejected (default: {MAX_REJECTED_SHARE})", share, "SHARE"
)
ENGINE = Option("--engine", "local (default) or spark", one_of("local", "spark"), "ENGINE")
MASTER = Option("--master", "with --engine spark: its master (default: local[*])", str, "URL")
BULK_OPTIONS = (WORKERS, MAX_REJECTED, ENGINE, MASTER)
BULK = {"for more than fits in memory": BULK_OPTIONS}
OF_EXTRACT = (PAGE, SOURCE, RELEASE, VERIFY, AS_OF_PAGE, ARCHIVE, PAGES)

# --- what may be combined ---------------------------------------------------------------------------------------------

Options = argparse.Namespace
Rule = Callable[[Options], Iterable[str]]  # yields what is wrong; the first one is shown
GOES_WITH = {
    EVERY: (REVISIONS,), REFETCH: (REVISIONS,), PAUSE: (REVISIONS, RELEASE), EXPORT_OUTPUT: (EXPORT,),
    SITE_URL: (SITE,), YEAR: (CONFIRM,), INSTITUTION: (CONFIRM,), BECAUSE: (CONFIRM,),
}  # fmt: skip
QUESTIONS = (COUNTRY, AS_OF, CHANGES, SINCE, COMPARE, FINDINGS, REVISION_STATS, CONFIRM, RESTORE)


def is_given(options: Options, *some: Option) -> bool:
    """Return whether one of these options is given; a script that lacks an option has it never given."""
    values = (getattr(options, option.attribute, None) for option in some)
    return any(value is not None and value is not False and value != [] for value in values)


def _check_input(options: Options) -> Iterator[str]:
    kinds = ((PAGE, SOURCE, RELEASE), (ARCHIVE,), (PAGES,), (REVISIONS,))
    if sum(is_given(options, *kind) for kind in kinds) > 1:
        yield "--page or --source, --archive, --pages and --revisions read different things: give one of them"
    if options.page is not None and len(options.source) > 1:
        yield "--page is one source's: name one with --source, or none"
    if isinstance(options.page, str) and options.source not in ([], [WIKIPEDIA.name]):
        yield f"--page {options.page} is an address; name a file of {options.source[0]}"
    if options.release and options.source not in ([IMF.name], [WORLD_BANK.name]):
        yield f"--release is of one source: add --source {IMF.name}, or --source {WORLD_BANK.name}"
    if options.release and options.page is not None and options.release[0] != options.release[1]:
        yield "--page is of one release: name it as --release 2025-10"


def _check_output(options: Options) -> Iterator[str]:
    is_of_lines = options.output is None or is_stream(options.output) or options.output.name.endswith(PARTS)
    if is_given(options, ARCHIVE, PAGES) and options.engine != "spark" and not is_of_lines:
        yield f"--archive and --pages write a record a line: name an --output that ends in {STREAMS[0]}"


def _check_inputs(options: Options) -> Iterator[str]:
    if len(options.input or ()) > 1 and not makes_partitions(options):
        for place in (*options.input, options.output):
            if place is not None and not holds_lines(place):
                yield f"{place}: several inputs must be {', '.join(STREAMS)}, and the output too"


def _check_spark(options: Options) -> Iterator[str]:
    if options.engine != "spark":
        if is_given(options, MASTER):
            yield "--master goes with --engine spark"
        return
    is_read = ARCHIVE.attribute in options and (FROM.attribute not in options or STAGES[0] in stage_names(options))
    if is_read and not is_given(options, ARCHIVE, PAGES):
        yield "--engine spark is for many pages: add --pages or --archive"
    from gdp.scale.spark import usage_problem

    if problem := usage_problem(options.master or "local[*]"):
        yield problem


def _check_questions(options: Options) -> Iterator[str]:
    asked = {option for option in QUESTIONS if is_given(options, option)}
    if len(asked) > 1 and asked not in ({CHANGES, SINCE}, {AS_OF, COMPARE}):
        yield f"ask one thing at a time: {' or '.join(option.name for option in QUESTIONS if option in asked)}"
    if options.export and asked - {AS_OF}:
        yield f"--export goes with --as-of alone, and not with {min(option.name for option in asked - {AS_OF})}"
    loads = [option.name for option in (CLEAN_INPUT, FORCE, NO_HISTORY, CHANGES_ONLY) if is_given(options, option)]
    if loads and (asked or (options.export and not options.input)):
        yield f"{loads[0]} is for loading, and a question loads nothing"
    if options.csv and (not asked or options.json):
        yield "--csv prints an answer: it goes with a question, and not with --json"


def _check_stages(options: Options) -> Iterator[str]:
    if sum(is_given(options, option) for option in (FROM, ONLY, STATUS)) > 1:
        yield "--from, --only and --status exclude each other: give one of them"
    if options.no_report and STAGES[-1] in (options.only, options.first):
        yield "--no-report leaves out the stage that is asked for"
    asked = [] if options.status else stage_names(options)
    for stage, some in (("extract", OF_EXTRACT), ("load", (EXPORT, FORCE, NO_HISTORY, CHANGES_ONLY))):
        for option in some:
            names_files = option in (ARCHIVE, PAGES) and not options.status  # of the later stages: streams
            if is_given(options, option) and stage not in asked and not names_files:
                yield f"{option.name} is for {stage}, which is not asked for"


def stage_names(options: Options) -> list[str]:
    """Return the names of the stages that a run is to have, in order."""
    if options.only:
        return [options.only]
    names = STAGES[STAGES.index(options.first or STAGES[0]) :]
    return [name for name in names if not (options.no_report and name == STAGES[-1])]


# --- the scripts ------------------------------------------------------------------------------------------------------


class Script(NamedTuple):
    """A script's command line: its options by group, the most used first, arguments of three examples, rules."""

    name: str
    description: str
    groups: Mapping[str, tuple[Option, ...]]
    examples: tuple[str, str, str]
    rules: tuple[Rule, ...] = ()

    @property
    def options(self) -> list[Option]:
        """Return all its options."""
        return [option for group in self.groups.values() for option in group]


SHIPPED_PAGE = "data/pages/2025-12-30_enwiki_rev1330326028.html.gz"

ETL = Script(
    "etl_process.py", "Refresh the table of GDP by country: extract, transform, load, report.",
    {
        "what to read": OF_EXTRACT,
        "which stages": (STATUS, FROM, ONLY, NO_REPORT),
        "results": (DATABASE, JSON, EXPORT, FORCE, NO_HISTORY),
        "an unattended run": (QUIET, CHANGES_ONLY, MAX_AGE, WAIT, TIMEOUT, PING, NOTIFY, MONITOR_INTERVAL),
        **BULK,
    },
    ("", f"--page {SHIPPED_PAGE}", "--status"),
    (_check_stages, _check_input, _check_spark),
)  # fmt: skip
EXTRACT = Script(
    "extract.py", "Read nominal GDP by country from Wikipedia's list, the IMF or the World Bank, as published.",
    {
        "what to read": (PAGE, SOURCE, RELEASE, VERIFY, AS_OF_PAGE),
        "many pages": (ARCHIVE, PAGES, REVISIONS, EVERY, REFETCH, PAUSE),
        "the run": (RAW_OUTPUT, QUIET, MAX_AGE, WAIT),
        **BULK,
    },
    ("", f"--page {SHIPPED_PAGE}", "--source imf --release 2025-10"),
    (_check_input, _check_output, _check_spark),
)  # fmt: skip
TRANSFORM = Script(
    "transform.py", "Turn raw GDP figures into billions of US dollars with years, ISO codes and regions.",
    {"the run": (RAW_INPUT, CLEAN_OUTPUT, QUIET, WAIT), **BULK},
    ("", "--input results/Countries_by_GDP.json --output /tmp/clean.json", "--max-rejected 0.1"),
    (_check_inputs, _check_spark),
)  # fmt: skip
LOAD = Script(
    "load.py", "Load clean GDP figures into a database and print the large economies; or answer a question from it.",
    {
        "loading": (CLEAN_INPUT, DATABASE, FORCE, NO_HISTORY, CHANGES_ONLY),
        "questions, instead of loading": (COUNTRY, AS_OF, CHANGES, SINCE, FINDINGS, COMPARE, REVISION_STATS),
        "corrections, instead of loading": (CONFIRM, YEAR, INSTITUTION, BECAUSE, RESTORE),
        "results": (EXPORT, EXPORT_OUTPUT, JSON, CSV, QUIET, WAIT),
    },
    ("", "--country KOR JPN", "--as-of 2026-01-01"),
    (_check_questions,),
)  # fmt: skip
REPORT = Script(
    "report.py", "Write the report on what is loaded: a page, plots, and what changed as a feed and as release notes.",
    {"what to write": (DATABASE, REPORT_OUTPUT, SITE, SITE_URL), "the run": (QUIET, WAIT)},
    ("", "--output /tmp/report.html", "--site results/site"),
)  # fmt: skip


# --- parsing ----------------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, name the nearest right word, and quote no password."""

    arguments: list[str]

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"^argument (--[\w-]+)[^:]*: ", r"\1: ", message)
        for argument in self.arguments:
            if "//" in argument:  # a blank or a quote in it would end the URL too early
                message = message.replace(argument, quote(argument, safe="/:?#[]@!$&()*+,;=%-._~"))
        message = " ".join(without_credentials(message).split())
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def parse(script: Script, arguments: list[str] | None = None) -> Options:
    """Return a script's options; wrong usage ends the program with exit code 2 and one line."""
    parser = _parser(script)
    parser.arguments = sys.argv[1:] if arguments is None else arguments
    options, unknown = parser.parse_known_args(parser.arguments)
    if unknown:
        parser.error(_unknown(unknown[0], script.options))
    if SOURCE in script.options:
        options.source = list(dict.fromkeys(chain.from_iterable(options.source or ())))
    if DATABASE in script.options and options.database is None and os.environ.get(DATABASE_VARIABLE):
        try:
            options.database = database_named(os.environ[DATABASE_VARIABLE])
        except argparse.ArgumentTypeError as error:
            parser.error(f"{DATABASE_VARIABLE}: {error}")
    for option, others in GOES_WITH.items():
        if option in script.options and is_given(options, option) and not is_given(options, *others):
            parser.error(f"{option.name} goes with {' or '.join(other.name for other in others)}")
    for rule in script.rules:
        for problem in rule(options):
            parser.error(problem)
    for option in script.options:
        if getattr(options, option.attribute) is None:
            setattr(options, option.attribute, option.default)
    return options


def _parser(script: Script) -> _Parser:
    examples = "".join(f"\n  python {script.name} {example}".rstrip() for example in script.examples)
    parser = _Parser(
        prog=script.name, description=script.description, epilog=f"examples:{examples}", add_help=False,
        allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, usage=f"{script.name} [OPTION]...",
    )  # fmt: skip
    for title, some in script.groups.items():
        group = parser.add_argument_group(title)
        for option in some:
            settings: dict[str, Any] = {"dest": option.attribute, "action": "store_true"}
            if option.type:
                settings |= {"action": "extend" if option.is_list else "store", "type": option.type}
                settings |= {"metavar": option.metavar, "nargs": "+" if option.is_list else None}
            group.add_argument(option.name, help=option.help, **settings)
            if option.old_name:
                group.add_argument(option.old_name, help=argparse.SUPPRESS, default=argparse.SUPPRESS, **settings)
    group = parser.add_argument_group("help")
    group.add_argument("-h", "--help", action="help", help="print this")
    group.add_argument("--version", action="version", version=f"{script.name} {__version__}", help="print the version")
    return parser


def _unknown(word: str, options: Iterable[Option]) -> str:
    """Return what is wrong with a word that is no option, and the nearest one that is."""
    import difflib

    name = word.partition("=")[0]
    if not name.startswith("-"):
        return f"{word!r} belongs to no option"
    names = [*(option.name for option in options), "--help", "--version"]
    near = [one for one in names if one.startswith(name)] or difflib.get_close_matches(name, names, 1, 0.5)
    return f"there is no option {name}" + (f"; did you mean {near[0]}?" if near else "")


# --- what the options mean --------------------------------------------------------------------------------------------

_BETWEEN: dict[type, str] = {list: ",", tuple: ".."}  # the values of an option as a text


def as_arguments(options: Options, some: Iterable[Option]) -> list[str]:
    """Return those of the options that are given as arguments for another of our scripts; none of them is a secret."""
    arguments = []
    for option in some:
        if is_given(options, option):
            value = getattr(options, option.attribute)
            sign = _BETWEEN.get(type(value))
            text = sign.join(map(str, value)) if sign else getattr(value, "as_argument", value)
            arguments.append(option.name if option.type is None else f"{option.name}={text}")
    return arguments


def limits_of(options: Options, max_rejected: float = MAX_REJECTED_SHARE) -> Limits:
    """Return how many processes may work, and which share may be rejected: --max-rejected, else `max_rejected`."""
    rejected = max_rejected if options.max_rejected is None else options.max_rejected
    return Limits(options.workers or usable_cores(), rejected)


def makes_partitions(options: Options) -> bool:
    """Return whether an output is a folder of partitions, by --engine spark or by its name."""
    return options.engine == "spark" or (options.output is not None and options.output.name.endswith(PARTS))


def partition_maker(options: Options) -> Maker | None:
    """Return what makes the partitions of an output; None for an output that is a file."""
    if options.engine == "spark":
        from gdp.scale.spark import on_spark

        return on_spark(options.master or "local[*]")
    if makes_partitions(options):
        from gdp.scale.partitioned_output import on_this_machine

        return on_this_machine(limits_of(options).workers)
    return None
