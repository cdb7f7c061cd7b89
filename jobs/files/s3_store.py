"""S3Store: a bucket of any S3-compatible store, accessed with obstore; files that are read are cached locally."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store as Bucket

from jobs.errors import StorageUnreachable
from jobs.files.file_cache import FileCache
from jobs.files.store import READ_BYTES, StoredFile
from jobs.settings import MIB, Settings

if TYPE_CHECKING:
    # These exist only in the library's type stubs.
    from obstore.store import RetryConfig, S3Config

# Bytes of one request: a slow client reads pieces at its own pace, and no request has to wait for it.
RANGE_BYTES = 8 * MIB
# S3 allows 10,000 parts, which at this size are 156 GiB.
PART_BYTES = 16 * MIB
MAX_CONCURRENCY = 4

CONNECT_TIMEOUT = timedelta(seconds=5)
# For one request with its body of at most RANGE_BYTES or PART_BYTES.
REQUEST_TIMEOUT = timedelta(seconds=60)
# A person waits for the answer. Callers with more time retry themselves.
MAX_RETRIES = 3
RETRY_TIMEOUT = timedelta(seconds=20)
# Health checks ask often whether the store can be reached, and have to answer quickly.
CHECK_TIMEOUT = timedelta(seconds=5)
CHECKED_PREFIX = "check/"

# obstore's message for a response with status 200 to a range request. The body is the complete file, or the range:
# some servers send it with the wrong status.
_NOT_PARTIAL = "non-partial response"

# The library's errors are many lines long and contain internals of the request.
_MAX_REASON = 300


def open_store(settings: Settings, cache: FileCache) -> "S3Store":
    """The store at `EMOTUNE_STORAGE_URL`. Options that are not set come from the standard AWS_* variables."""
    bucket = _open_bucket(settings, REQUEST_TIMEOUT, {"max_retries": MAX_RETRIES, "retry_timeout": RETRY_TIMEOUT})
    return S3Store(bucket, _open_bucket(settings, CHECK_TIMEOUT, {"max_retries": 0}), cache)


def _open_bucket(settings: Settings, timeout: timedelta, retry_config: "RetryConfig") -> Bucket:
    parts = urlsplit(settings.storage_url or "")
    endpoint = settings.storage_endpoint
    # Bulk deletion is what S3-compatible stores most often lack.
    config: S3Config = {"disable_bulk_delete": True}
    if endpoint is not None:
        config["endpoint"] = endpoint
    if settings.storage_region is not None:
        config["region"] = settings.storage_region
    if settings.storage_key_id is not None and settings.storage_secret is not None:
        config["access_key_id"] = settings.storage_key_id
        config["secret_access_key"] = settings.storage_secret
    return Bucket(
        parts.netloc,
        prefix=parts.path.strip("/") or None,
        config=config,
        client_options={
            "allow_http": (endpoint or "").startswith("http://"),
            "connect_timeout": CONNECT_TIMEOUT,
            "timeout": timeout,
        },
        retry_config=retry_config,
    )


class S3Store:
    """A store in a bucket. The keys of files are the objects' keys below the prefix."""

    def __init__(self, bucket: Bucket, checked_bucket: Bucket, cache: FileCache) -> None:
        """`checked_bucket` is the same bucket with a client that has a short timeout and does not retry."""
        self._bucket = bucket
        self._checked_bucket = checked_bucket
        self._cache = cache

    def check(self) -> None:
        with _reaching():
            obstore.list_with_delimiter(self._checked_bucket, CHECKED_PREFIX)

    def put(self, key: str, path: Path) -> None:
        with _reaching():
            obstore.put(self._bucket, key, path, chunk_size=PART_BYTES, max_concurrency=MAX_CONCURRENCY)

    def copy(self, source_key: str, key: str) -> bool:
        """Copy the file inside the store, which takes its space again. Stores refuse this for files above 5 GB."""
        try:
            with _reaching():
                obstore.copy(self._bucket, source_key, key)
        except (FileNotFoundError, StorageUnreachable):
            return False
        return True

    def fetch(self, key: str, *, changes: bool = False, listed: StoredFile | None = None) -> Path:
        """Does not ask the store when there is a local copy of a file that never changes, or that was listed."""
        return self._cache.fetch(self, key, changes=changes, listed=listed)

    def lend(self, key: str, folder: Path, *, listed: StoredFile | None = None) -> Path:
        """The file has a second name in `folder`, which remains when the cache deletes its copy."""
        name = folder / Path(key).name
        while not name.exists():
            path = self.fetch(key, listed=listed)
            # The copy was deleted between the two steps; fetch it again.
            with suppress(FileNotFoundError):
                os.link(path, name)
        return name

    def find(self, key: str) -> StoredFile | None:
        try:
            return self._get(key)
        except FileNotFoundError:
            return None

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        position = start
        while position < end:
            stop = min(position + RANGE_BYTES, end)
            try:
                with _reaching():
                    content = obstore.get_range(self._bucket, key, start=position, end=stop)
            except StorageUnreachable as error:
                if _NOT_PARTIAL not in error.message:
                    raise
                yield from self._read_through(key, position, end)
                return
            if len(content) != stop - position:
                raise EOFError(f"{key} became shorter while it was read")
            view = memoryview(content)
            for offset in range(0, len(view), READ_BYTES):
                yield bytes(view[offset : offset + READ_BYTES])
            position = stop

    def list(self, prefix: str) -> Iterator[StoredFile]:
        with _reaching():
            for batch in obstore.list(self._bucket, prefix or None):
                for found in batch:
                    yield StoredFile(found["path"], found["size"], found["last_modified"].timestamp())

    def list_names(self, prefix: str) -> set[str]:
        with _reaching():
            found = obstore.list_with_delimiter(self._bucket, prefix or None)
        paths = [*found["common_prefixes"], *(each["path"] for each in found["objects"])]
        return {path.rstrip("/").rpartition("/")[2] for path in paths}

    def delete(self, key: str) -> None:
        with suppress(FileNotFoundError), _reaching():
            obstore.delete(self._bucket, key)
        self._cache.forget(key)

    def delete_all(self, prefix: str) -> None:
        for file in list(self.list(prefix)):
            self.delete(file.key)

    def sign(self, key: str, seconds: float) -> str | None:
        with _reaching():
            return obstore.sign(self._bucket, "GET", key, timedelta(seconds=seconds))

    def _get(self, key: str) -> StoredFile:
        with _reaching():
            found = obstore.head(self._bucket, key)
        return StoredFile(key, found["size"], found["last_modified"].timestamp())

    def _read_through(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """Read from the start of the file, for a store that does not support range requests."""
        position = 0
        with _reaching():
            for chunk in obstore.get(self._bucket, key).stream(min_chunk_size=READ_BYTES):
                piece = bytes(chunk)[max(start - position, 0) : max(end - position, 0)]
                position += len(chunk)
                if piece:
                    yield piece
                if position >= end:
                    return
        raise EOFError(f"{key} became shorter while it was read")


@contextmanager
def _reaching() -> Iterator[None]:
    """Turns the library's errors into FileNotFoundError and StorageUnreachable."""
    try:
        yield
    except (BaseError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        reason = " ".join(str(error).partition("\n\nDebug source")[0].split())[:_MAX_REASON]
        raise StorageUnreachable(f"{StorageUnreachable.__doc__} It said: {reason}") from error
