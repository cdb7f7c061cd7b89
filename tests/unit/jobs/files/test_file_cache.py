"""The cache of fetched files: bounded, the least used first, whole or not there."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.files.file_cache import ABANDONED_SECONDS, INCOMING, FileCache
from jobs.files.store import StoredFile


@pytest.fixture
def cache(tmp_path: Path) -> FileCache:
    return FileCache(tmp_path / "cache", max_bytes=10)


def add(cache: FileCache, key: str, size_bytes: int, *, modified_at: float = 100.0) -> Path:
    return cache.add(key, iter([b"x" * size_bytes]), modified_at=modified_at)


def test_a_copy_is_found_until_the_file_is_another(cache: FileCache) -> None:
    path = add(cache, "datasets/a", 3, modified_at=100.5)
    assert cache.find("datasets/a") == cache.find("datasets/a", modified_at=100.5) == path
    assert cache.find("datasets/a", modified_at=101.5) is None
    assert cache.find("datasets/b") is None
    cache.forget("datasets/a")
    assert cache.find("datasets/a") is None


class OneFile:
    """A store that gives the time of a single file to the second only, as S3 does."""

    def __init__(self, content: bytes, modified_at: float) -> None:
        self.content, self.modified_at = content, modified_at

    def find(self, key: str) -> StoredFile | None:
        return StoredFile(key, len(self.content), float(int(self.modified_at)))

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        if end > len(self.content):
            raise EOFError(f"{key} became shorter while it was read")
        yield self.content[start:end]


def test_a_listed_file_is_fetched_once_and_known_by_the_time_of_the_list(cache: FileCache) -> None:
    listed = StoredFile("a", 3, 100.75)
    path = cache.fetch(OneFile(b"abc", 100.75), "a", listed=listed)
    assert cache.fetch(OneFile(b"never read", 900), "a", listed=listed) == path
    assert path.read_bytes() == b"abc"


@pytest.mark.parametrize("now", [OneFile(b"ab", 100), OneFile(b"abcd", 100), OneFile(b"xyz", 102)])
def test_a_file_that_is_not_as_it_was_listed_is_not_found(cache: FileCache, now: OneFile) -> None:
    with pytest.raises(FileNotFoundError, match="replaced"):
        cache.fetch(now, "a", listed=StoredFile("a", 3, 100))
    assert cache.find("a") is None


def test_what_was_used_longest_ago_goes_first(cache: FileCache) -> None:
    first, second = add(cache, "a", 4), add(cache, "b", 4)
    for age_seconds, path in ((20, first), (10, second)):
        os.utime(path, (time.time() - age_seconds, 100))
    cache.find("a")
    third = add(cache, "c", 4)
    assert [path.exists() for path in (first, second, third)] == [True, False, True]


def test_a_file_above_the_bound_is_kept_until_the_next(cache: FileCache) -> None:
    small, large = add(cache, "small", 1), add(cache, "large", 50)
    assert (small.exists(), large.exists()) == (False, True)
    add(cache, "next", 1)
    assert not large.exists()


def test_a_copy_that_breaks_off_is_none(cache: FileCache, tmp_path: Path) -> None:
    def break_off() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        cache.add("a", break_off(), modified_at=0)
    assert cache.find("a") is None
    assert list((tmp_path / "cache" / INCOMING).iterdir()) == []


def test_what_a_dead_process_left_goes_in_time(cache: FileCache, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / INCOMING
    folder.mkdir(parents=True)
    for name, age_seconds in (("old", ABANDONED_SECONDS + 60), ("new", 60)):
        (folder / name).write_bytes(b"x" * 100)
        os.utime(folder / name, (time.time(), time.time() - age_seconds))
    kept = add(cache, "a", 3)
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert kept.exists()
