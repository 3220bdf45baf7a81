"""Files that are not on this machine, opened by fsspec: objects in a store (s3://, gs://), files of a server (hdfs://).

A RemotePath has the methods of Path that the stages use; utils opens and writes either. Credentials and retries are
those of fsspec and its libraries, from the environment. An output is one put, which ends when all of it is there.

universal_pathlib 0.3.10 was measured instead: its import takes 80 ms, as it imports fsspec even if all files are local.
It raises each library's own errors, so that the mapping below would stay, and it has no write that appears whole.
"""

from __future__ import annotations

import argparse
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
from urllib.parse import urlsplit

from gdp.places import HOSTS_AND_PORTS, WEB, as_typed, file_named, split_scheme, unknown_scheme, without_credentials
from utils import Exit, StageError, make_folder, open_to_read

if TYPE_CHECKING:
    from concurrent.futures import Future

# Schemes of fsspec that several machines do not share, that cannot be listed, or that lead to another one.
NO_STORES = (
    "asyncwrapper", "async_wrapper", "blockcache", "cached", "data", "dask", "dir", "file", "filecache", "generic",
    "http", "https", "jlab", "jupyter", "libarchive", "local", "memory", "pyscript", "reference", "simplecache", "tar",
    "zip",
)  # fmt: skip
# Their files are visible while they are written, so they get their name when they are whole.
FILE_SERVERS = ("arrow_hdfs", "ftp", "hdfs", "root", "sftp", "smb", "ssh", "webdav", "webhdfs")
AT_ONCE_BYTES = 8_000_000  # a smaller file is read by one request
REQUEST_BYTES = 16 * 2**20  # of a larger one, read or written: S3 takes ten thousand parts, of 5 MiB at least
INSTALL = "pip install -r requirements/s3.txt"
_CHANGED = ("ETag", "etag", "md5Hash", "content_md5")  # the stores' names for the mark of an object's content,
_WHEN = ("LastModified", "last_modified", "mtime", "updated", "modify")  # and for when it was written
_NO_LIBRARY = re.compile(r"libhdfs|libjvm|JAVA_HOME|HADOOP_HOME|CLASSPATH", re.IGNORECASE)

# A partitioned output: the end of its name, and the file that lists the partitions that count. Spark and others that
# read folders of lines skip names that begin with an underscore.
PARTS, MANIFEST = ".parts", "_manifest.json"

Item = TypeVar("Item")
Result = TypeVar("Result")


class Facts(NamedTuple):
    """A file's size and time, by the names of os.stat; `stamp` changes when the file does."""

    st_size: int
    st_mtime: float
    stamp: str


class RemotePath(NamedTuple):
    """A file or folder in a store, and its facts if a listing gave them; a request may raise StageError: 66, 77, 69."""

    url: str
    known: Facts | None = None

    def __str__(self) -> str:
        """Return the place for people: without a user, and without what follows a question mark."""
        return re.sub(r"//[^/]*@", "//", self.url).partition("?")[0]

    @property
    def as_argument(self) -> str:
        """Return the place for another of our scripts."""
        return self.url

    @property
    def scheme(self) -> str:
        """What its URL begins with."""
        return self.url.partition(":")[0]

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

    def absolute(self) -> RemotePath:
        """Return itself: it has its whole name."""
        return self

    def with_name(self, name: str) -> RemotePath:
        """Return the file beside it that has another name."""
        return RemotePath(f"{self.folder}/{name}")

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(f"{self.url}/{name}")

    def stat(self) -> Facts:
        """Return its size and time."""
        if self.known:
            return self.known
        with self._system() as (system, path):
            return _facts(system.info(path))

    @property
    def stamp(self) -> str:
        """What changes when its content does."""
        return self.stat().stamp

    def exists(self) -> bool:
        """Return whether it is there."""
        return self._kind() is not None

    def is_file(self) -> bool:
        """Return whether it is there, and no folder."""
        return self._kind() == "file"

    def is_dir(self) -> bool:
        """Return whether it is a folder: whether anything is in it."""
        return self._kind() == "directory"

    def _kind(self) -> str | None:
        with self._system() as (system, path), contextlib.suppress(FileNotFoundError):
            return str(system.info(path)["type"])
        return None

    def check_bucket(self) -> None:
        """Raise StageError (74) where its bucket is not there; a server's folders are made when they are needed."""
        if self.scheme in FILE_SERVERS:
            return
        bucket = RemotePath("/".join(self.url.split("/")[:3]))
        with bucket._system() as (system, path), contextlib.suppress(PermissionError):  # the write will show it
            try:
                system.info(path)
            except FileNotFoundError:
                problem = f"there is no bucket {bucket}; make it, or name another"
                raise StageError(Exit.CANNOT_WRITE, problem) from None

    def iterdir(self) -> Iterator[RemotePath]:
        """Yield the files in it, by one listing."""
        with self._system() as (system, path):
            found = system.ls(path, detail=True)
        for one in found:
            name = one["name"].rstrip("/")
            if one["type"] == "file" and name != path:
                yield RemotePath(f"{self.url}/{name.rpartition('/')[2]}", _facts(one))

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove it."""
        with self._system() as (system, path), contextlib.suppress(*[FileNotFoundError] * missing_ok):
            system.rm_file(path)

    def read(self, begin: int, end: int) -> bytes:
        """Return a range of its bytes."""
        with self._system() as (system, path):
            return bytes(system.cat_file(path, start=begin, end=end)) if end > begin else b""

    def open_to_read(self) -> IO[bytes]:
        """Return it, open for reading: a small one is read at once, a large one by a request for each part."""
        size = self.stat().st_size
        if size <= AT_ONCE_BYTES:
            return io.BytesIO(self.read(0, size))
        return io.BufferedReader(_Requests(self, size), REQUEST_BYTES)

    @contextlib.contextmanager
    def whole(self) -> Iterator[IO[bytes]]:
        """Yield a file to write that appears whole, or not at all."""
        with self._system() as (system, path):
            folder, _, name = path.rpartition("/")
            of_server = self.scheme in FILE_SERVERS
            now = f"{folder}/.{name}.{os.getpid()}.tmp" if of_server else path
            if of_server:
                with contextlib.suppress(Exception):  # another made it just now; anything else fails the write
                    system.makedirs(folder, exist_ok=True)
            file = system.open(now, "wb", block_size=REQUEST_BYTES)
            try:
                yield file
            except BaseException:
                with contextlib.suppress(Exception):  # the first error is the one to report
                    file.discard()
                file.closed = True  # else its end would put it there after all
                raise
            file.close()
            if of_server:
                system.mv(now, path)

    @contextlib.contextmanager
    def _system(self) -> Iterator[tuple[Any, str]]:
        """Yield the file system and our path in it; an error that it raises becomes a StageError."""
        try:
            one_at_a_time = threading.get_ident() if self.scheme in FILE_SERVERS else 0
            system = _system_of(self.scheme, self.url.split("/")[2], one_at_a_time)
            yield system, system._strip_protocol(self.url)
        except (StageError, GeneratorExit):
            raise
        except Exception as error:
            problem = self._problem(error)
            if problem is None:
                raise
            raise problem from error

    def _problem(self, error: Exception) -> StageError | None:
        """Return the StageError for what a store's library raised; None for an error of our own."""
        reason = without_credentials(next(iter(str(error).splitlines()), type(error).__name__))
        name = type(error).__name__
        if isinstance(error, ImportError) or (isinstance(error, OSError) and _NO_LIBRARY.search(reason)):
            return StageError(Exit.BAD_DATA, f"{self} cannot be opened here: {reason}; install that, or name another")
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return StageError(Exit.NO_INPUT, f"{self} is not there, or its bucket; name another, or make it")
        if isinstance(error, PermissionError) or "Credential" in name or "Token" in name:
            remedy = "see which credentials the environment has"
            return StageError(Exit.NOT_ALLOWED, f"no permission for {self}: {reason}; {remedy}")
        if not isinstance(error, OSError) and type(error).__module__ == "builtins":
            return None
        return StageError(Exit.UNREACHABLE, f"{self} cannot be reached: {reason}; is the store there? then run again")


class _Requests(io.RawIOBase):
    """A remote file's bytes from begin to end, REQUEST_BYTES a request."""

    def __init__(self, place: RemotePath, size: int) -> None:
        self._place, self._size, self._at = place, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = (0, self._at, self._size)[whence] + offset
        return self._at

    def readall(self) -> bytes:
        return self._place.read(self.seek(0, os.SEEK_CUR), self.seek(0, os.SEEK_END))

    def readinto(self, buffer: Any) -> int:
        more = self._place.read(self._at, min(self._at + len(buffer), self._size))
        buffer[: len(more)] = more
        self._at += len(more)
        return len(more)


Where = Path | RemotePath


@functools.cache
def _system_of(scheme: str, host: str, _thread: int) -> Any:
    """Return the file system of a scheme; threads may share that of an object store, but no connection to a server."""
    import fsspec

    return fsspec.url_to_fs(f"{scheme}://{host}/", use_listings_cache=False)[0]  # other programs write there too


os.register_at_fork(after_in_child=_system_of.cache_clear)  # its connections and its thread belong to the parent


def _facts(info: dict[str, Any]) -> Facts:
    when = next((info[name] for name in _WHEN if info.get(name)), 0.0)
    changed = next((info[name] for name in _CHANGED if info.get(name)), when)
    moment = when.timestamp() if isinstance(when, datetime) else 0.0
    return Facts(info["size"] or 0, moment, f"{info['size']} bytes, {changed}")


def stands_for(place: Where) -> Where:
    """Return the file that changes whenever a place does: itself, or the manifest of a folder of partitions."""
    return place / MANIFEST if place.is_dir() else place


def check_folder(place: Where) -> None:
    """Raise StageError (74, or that of the store) where the folder or bucket of an output is not there."""
    if isinstance(place, Path):
        make_folder(place.absolute().parent)
    else:
        place.check_bucket()


def read_range(place: Where, begin: int, end: int) -> bytes:
    """Return a range of a file's bytes; raises StageError as open_to_read does."""
    if isinstance(place, RemotePath):
        return place.read(begin, end)
    with open_to_read(place) as file:
        file.seek(begin)
        return file.read(end - begin)


def ahead(work: Callable[[Item], Result], items: Iterable[Item], at_once: int) -> Iterator[Result]:
    """Yield the result of `work` for each item, in order, `at_once` of them in flight, as a store takes its time."""
    from concurrent.futures import ThreadPoolExecutor

    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(at_once) as threads:
        for item in items:
            waiting.append(threads.submit(work, item))
            if len(waiting) > at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


# --- what an option names ---------------------------------------------------------------------------------------------


def page_named(text: str) -> str | Where:
    """Return the http(s):// address, or the file, at which a page is read; raises ArgumentTypeError."""
    scheme, rest = split_scheme(text)
    if scheme not in WEB:
        return stream_named(text)
    address = f"{scheme}:{rest}"
    with contextlib.suppress(ValueError):  # whose message may quote a password
        if urlsplit(address).hostname:
            return address
    raise argparse.ArgumentTypeError(f"{without_credentials(address)} is no address: write https://HOST/PAGE")


def stream_named(text: str) -> Where:
    """Return the file, or folder of partitions, of a path or a store's URL; raises ArgumentTypeError."""
    place = folder_named(text)
    if isinstance(place, RemotePath) and not place.folder:
        raise argparse.ArgumentTypeError(f"{place} names no file: write {place}/NAME")
    return place


def folder_named(text: str) -> Where:
    """Return the folder, or whole bucket, of a path or a store's URL; raises ArgumentTypeError."""
    scheme, rest = split_scheme(text)
    if scheme in ("", "file"):
        return file_named(text)
    shown = without_credentials(f"{scheme}:{rest}")
    try:
        if scheme in NO_STORES:
            raise ValueError
        import fsspec

        fsspec.get_filesystem_class(scheme)
    except ValueError:
        raise unknown_scheme(rest, scheme, "a path, file://, or what fsspec opens, as s3://BUCKET/NAME") from None
    except ImportError as error:
        missing = f"fsspec is not installed: {INSTALL}" if error.name == "fsspec" else str(error)
        reason = INSTALL if scheme in ("s3", "s3a") and error.name != "fsspec" else missing
        raise argparse.ArgumentTypeError(f"{shown} cannot be opened here: {reason}") from None
    if _may_hold_a_password(scheme, rest):
        raise argparse.ArgumentTypeError(f"{shown}: credentials come from the environment, and not from a URL")
    if not rest.startswith("//") or not rest.strip("/"):
        raise argparse.ArgumentTypeError(f"{shown} names nothing: write {scheme}://BUCKET/NAME")
    return RemotePath(f"{scheme}:{as_typed(rest).rstrip('/')}")


def _may_hold_a_password(scheme: str, rest: str) -> bool:
    authority, _, path = rest.removeprefix("//").partition("/")
    user, _, host = authority.rpartition("@")
    is_port = scheme in FILE_SERVERS and HOSTS_AND_PORTS.fullmatch(host) and "@" not in path
    return ":" in user or (":" in host and not is_port)
