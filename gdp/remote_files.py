"""What is no path of this machine, opened by fsspec: objects of a store (s3://, gs://), files of a server (hdfs://).

A Stored is named, listed and asked as a Path is; utils opens and writes either. Credentials and retries are fsspec's
and its libraries' own, from the environment; an output is one put, which ends when all of it is there.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeVar

from gdp.places import without_credentials
from utils import Exit, StageError, open_to_read

if TYPE_CHECKING:
    from concurrent.futures import Future

# What fsspec knows and several machines do not share, cannot list, or open by way of another.
NO_STORES = (
    "asyncwrapper", "async_wrapper", "blockcache", "cached", "data", "dask", "dir", "file", "filecache", "generic",
    "http", "https", "jlab", "jupyter", "libarchive", "local", "memory", "pyscript", "reference", "simplecache", "tar",
    "zip",
)  # fmt: skip
# Whose files are there while they are written: they get their name when they are whole.
FILE_SERVERS = ("arrow_hdfs", "ftp", "hdfs", "root", "sftp", "smb", "ssh", "webdav", "webhdfs")
AT_ONCE_BYTES = 8_000_000  # what is smaller is read by one request
PIECE_BYTES = 16 * 2**20  # of what is larger, read or written: S3 takes ten thousand, of 5 MiB at least
INSTALL = "pip install -r requirements/s3.txt"
_CHANGED = ("ETag", "etag", "md5Hash", "content_md5")  # what stores call the mark of an object's content,
_WHEN = ("LastModified", "last_modified", "mtime", "updated", "modify")  # and when it was written
_NO_LIBRARY = re.compile(r"libhdfs|libjvm|JAVA_HOME|HADOOP_HOME|CLASSPATH", re.IGNORECASE)

# An output in parts: how its name ends where it is not --engine spark that says so, and what tells which parts count.
PARTS, MANIFEST = ".parts", "_manifest.json"  # who reads folders of lines passes over what begins so

Item = TypeVar("Item")
Result = TypeVar("Result")


class Facts(NamedTuple):
    """What a store tells of a file, by the names of os.stat; `stamp` tells whether it is still the same."""

    st_size: int
    st_mtime: float
    stamp: str


class Stored(NamedTuple):
    """A file or folder in a store, and what is known of it where a listing told.

    What asks the store raises StageError: 66 no such bucket or key, 74 no permission, 69 the store cannot be reached.
    """

    url: str
    known: Facts | None = None

    def __str__(self) -> str:
        """Return the place as it may be told: without a user, or what follows a question mark."""
        return re.sub(r"//[^/]*@", "//", self.url).partition("?")[0]

    @property
    def as_argument(self) -> str:
        """Return what names this place to another of our scripts."""
        return self.url

    @property
    def name(self) -> str:
        """The last part of its name."""
        return self.url.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The bucket or server, and the folder in it; empty where it is a whole bucket."""
        place, _, name = self.url.rpartition("/")
        return place if name and not place.endswith("/") else ""

    @property
    def suffix(self) -> str:
        """The ending of its name, with the dot."""
        return Path(self.name).suffix

    def absolute(self) -> Stored:
        """Return itself: it has its whole name."""
        return self

    def with_name(self, name: str) -> Stored:
        """Return what stands beside it under another name."""
        return Stored(f"{self.folder}/{name}")

    def __truediv__(self, name: str) -> Stored:
        """Return what stands in it."""
        return Stored(f"{self.url}/{name}")

    def stat(self) -> Facts:
        """Return what the store tells of it."""
        if self.known:
            return self.known
        with self._told() as (system, path):
            return _facts(system.info(path))

    @property
    def stamp(self) -> str:
        """What tells that it is still the same."""
        return self.stat().stamp

    def exists(self) -> bool:
        """Tell whether it is there."""
        return self._type() is not None

    def is_file(self) -> bool:
        """Tell whether it is there, and no folder."""
        return self._type() == "file"

    def is_dir(self) -> bool:
        """Tell whether anything stands in it."""
        return self._type() == "directory"

    def _type(self) -> str | None:
        with self._told() as (system, path):
            try:
                return str(system.info(path)["type"])
            except FileNotFoundError:
                return None

    def iterdir(self) -> Iterator[Stored]:
        """Yield what stands in it, as one listing tells it."""
        with self._told() as (system, path):
            found = system.ls(path, detail=True)
        for one in found:
            name = one["name"].rstrip("/").rpartition("/")[2]
            if one["type"] == "file" and one["name"].rstrip("/") != path:
                yield Stored(f"{self.url}/{name}", _facts(one))

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove it."""
        with self._told() as (system, path), contextlib.suppress(*[FileNotFoundError] * missing_ok):
            system.rm_file(path)

    def read(self, begin: int, end: int) -> bytes:
        """Return its bytes of a range that lies within it."""
        with self._told() as (system, path):
            return bytes(system.cat_file(path, start=begin, end=end)) if end > begin else b""

    def open_to_read(self) -> IO[bytes]:
        """Return it, open to read: a small one was read at once, a large one is read in pieces as they are wanted."""
        size = self.stat().st_size
        if size <= AT_ONCE_BYTES:
            return io.BytesIO(self.read(0, size))
        return io.BufferedReader(_Pieces(self, size), PIECE_BYTES)

    @contextlib.contextmanager
    def whole(self) -> Iterator[IO[bytes]]:
        """Yield a file to write that is there when all of it is; where writing it fails nothing is."""
        with self._told() as (system, path):
            folder, _, name = path.rpartition("/")
            of_server = self.url.partition(":")[0] in FILE_SERVERS
            now = f"{folder}/.{name}.{os.getpid()}.tmp" if of_server else path
            if of_server:
                with contextlib.suppress(Exception):  # another made it just now; all else is told when we write
                    system.makedirs(folder, exist_ok=True)
            file = system.open(now, "wb", block_size=PIECE_BYTES)
            try:
                yield file
            except BaseException:
                with contextlib.suppress(Exception):  # what is told is why
                    file.discard()
                file.closed = True  # else its end would put it there after all
                raise
            file.close()
            if of_server:
                system.mv(now, path)

    @contextlib.contextmanager
    def _told(self) -> Iterator[tuple[Any, str]]:
        """Yield the file system and our path there; what it raises is told in one line, with the exit code."""
        try:
            scheme = self.url.partition(":")[0]
            one_at_a_time = threading.get_ident() if scheme in FILE_SERVERS else 0
            system = _system(scheme, self.url.split("/")[2], one_at_a_time)
            yield system, system._strip_protocol(self.url)
        except (StageError, GeneratorExit):
            raise
        except Exception as error:
            problem = self._problem(error)
            if problem is None:
                raise
            raise problem from error

    def _problem(self, error: Exception) -> StageError | None:
        """Return the error that tells what a store's library raised; None for what is no library's, but our fault."""
        said = without_credentials(next(iter(str(error).splitlines()), type(error).__name__))
        name = type(error).__name__
        if isinstance(error, ImportError) or (isinstance(error, OSError) and _NO_LIBRARY.search(said)):
            return StageError(Exit.USAGE, f"{self} cannot be opened here: {said}; install that, or name another")
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return StageError(Exit.NO_INPUT, f"{self} is not there, or its bucket; name another, or make it")
        if isinstance(error, PermissionError) or "Credential" in name or "Token" in name:
            return StageError(Exit.CANNOT_WRITE, f"no permission for {self}: {said}; see what the environment has")
        if not isinstance(error, OSError) and type(error).__module__ == "builtins":
            return None
        return StageError(Exit.UNREACHABLE, f"{self} cannot be reached: {said}; is the store there? then run again")


class _Pieces(io.RawIOBase):
    """A stored file's bytes from begin to end, PIECE_BYTES a request."""

    def __init__(self, place: Stored, size: int) -> None:
        self._place, self._size, self._at = place, size, 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read from anywhere."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go where it is read next."""
        self._at = (0, self._at, self._size)[whence] + offset
        return self._at

    def readall(self) -> bytes:
        """Read the rest."""
        return self._place.read(self.seek(0, os.SEEK_CUR), self.seek(0, os.SEEK_END))

    def readinto(self, buffer: Any) -> int:
        """Read the next piece."""
        piece = self._place.read(self._at, min(self._at + len(buffer), self._size))
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


Where = Path | Stored


@functools.cache
def _system(scheme: str, host: str, _thread: int) -> Any:
    """Return the file system of a scheme; threads may share that of an object store, and no connection to a server."""
    import fsspec

    system, _ = fsspec.url_to_fs(f"{scheme}://{host}/", use_listings_cache=False)  # others write there too
    return system


os.register_at_fork(after_in_child=_system.cache_clear)  # its connections and its thread are the parent's


def is_store(scheme: str) -> bool:
    """Tell whether fsspec opens a scheme; raises ImportError, which says what to install for it."""
    if scheme in NO_STORES:
        return False
    try:
        import fsspec
    except ImportError:
        raise ImportError(f"fsspec is not installed: {INSTALL}") from None
    try:
        fsspec.get_filesystem_class(scheme)
    except ValueError:
        return False
    except ImportError as error:
        raise ImportError(INSTALL if scheme in ("s3", "s3a") else str(error)) from None
    return True


def _facts(info: dict[str, Any]) -> Facts:
    when = next((info[name] for name in _WHEN if info.get(name)), 0.0)
    changed = next((info[name] for name in _CHANGED if info.get(name)), when)
    moment = when.timestamp() if isinstance(when, datetime) else 0.0
    return Facts(info["size"] or 0, moment, f"{info['size']} bytes, {changed}")


def stands_for(place: Where) -> Where:
    """Return the file that changes whenever a place does: itself or, of a folder of parts, its manifest."""
    return place / MANIFEST if place.is_dir() else place


def read_range(place: Where, begin: int, end: int) -> bytes:
    """Return a file's bytes of a range that lies within it; raises StageError as open_to_read does."""
    if isinstance(place, Stored):
        return place.read(begin, end)
    with open_to_read(place) as file:
        file.seek(begin)
        return file.read(end - begin)


def ahead(work: Callable[[Item], Result], items: Iterable[Item], at_once: int) -> Iterator[Result]:
    """Yield what `work` makes of each item, in order, `at_once` of them on their way: a store takes its time."""
    from concurrent.futures import ThreadPoolExecutor

    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(at_once) as threads:
        for item in items:
            waiting.append(threads.submit(work, item))
            if len(waiting) > at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
