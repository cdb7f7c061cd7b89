"""A store that machines share, as they would share a bucket: a folder apart from their data folders."""

from collections.abc import Iterator
from pathlib import Path

from jobs.errors import StorageUnreachable
from jobs.files.file_cache import FileCache
from jobs.files.store import FolderStore, StoredFile

# More than any test fetches.
CACHE_BYTES = 1024**3


class BucketDouble:
    """Keeps files in `folder`, and copies of what is fetched beside it; while `is_away`, it answers nothing."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self._files = FolderStore(folder)
        self._cache = FileCache(folder.with_name(f"{folder.name}-cache"), max_bytes=CACHE_BYTES)
        self.is_away = False

    def check(self) -> None:
        if self.is_away:
            raise StorageUnreachable

    def put(self, key: str, path: Path) -> None:
        self.check()
        copy = path.with_name(f"{path.name}.copy")
        copy.write_bytes(path.read_bytes())
        self._files.put(key, copy)

    def copy(self, source_key: str, key: str) -> bool:
        return not self.is_away and self._files.copy(source_key, key)

    def fetch(self, key: str, *, changes: bool = False, listed: StoredFile | None = None) -> Path:
        return self._cache.fetch(self, key, changes=changes, listed=listed)

    def lend(self, key: str, folder: Path, *, listed: StoredFile | None = None) -> Path:
        if listed is None:
            self.check()
            return self._files.lend(key, folder)
        name = folder / Path(key).name
        if not name.exists():
            name.hardlink_to(self.fetch(key, listed=listed))
        return name

    def find(self, key: str) -> StoredFile | None:
        self.check()
        return self._files.find(key)

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        self.check()
        return self._files.read(key, start, end)

    def list(self, prefix: str) -> Iterator[StoredFile]:
        self.check()
        return self._files.list(prefix)

    def list_names(self, prefix: str) -> set[str]:
        self.check()
        return self._files.list_names(prefix)

    def delete(self, key: str) -> None:
        self.check()
        self._files.delete(key)

    def delete_all(self, prefix: str) -> None:
        self.check()
        self._files.delete_all(prefix)

    def sign(self, key: str, seconds: float) -> str | None:
        self.check()
        return self._files.sign(key, seconds)
