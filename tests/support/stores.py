"""A store that machines share and that is not their own folder, as a bucket is: a folder elsewhere."""

from collections.abc import Iterator
from pathlib import Path

from jobs.errors import StorageUnreachable
from jobs.store import FolderStore, StoredFile


class BucketDouble:
    """Keeps files in `folder`; while `is_away`, it answers nothing."""

    def __init__(self, folder: Path) -> None:
        self._files = FolderStore(folder)
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

    def fetch(self, key: str, *, changes: bool = False) -> Path:
        self.check()
        return self._files.fetch(key, changes=changes)

    def lend(self, key: str, folder: Path) -> Path:
        self.check()
        return self._files.lend(key, folder)

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
