"""ModelListings: which files a base model in storage has, as this machine saw it last.

cache/listings/models/NAME.json     the files; its time is when the store was last asked for them
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import TypeAdapter

from jobs.errors import StorageUnreachable
from jobs.files.storage import CACHE_FOLDER, Storage
from jobs.files.store import StoredFile

# A model that is pushed again is noticed after so long, and a store that is away keeps one caller in so long waiting.
ASK_AGAIN_SECONDS = 10.0

_FILES = TypeAdapter(list[StoredFile])

log = structlog.get_logger()


@dataclass(frozen=True)
class _Kept:
    files: Sequence[StoredFile]
    asked_at: float


class ModelListings:
    """Kept only of a store that can be away. It is made anew for each call: once away, the store is not asked again."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._is_away = False

    def ask(self, prefix: str) -> Sequence[StoredFile]:
        """As the store says now. Raises StorageUnreachable."""
        return [file for file in self._storage.store.list(prefix) if "/" not in file.key.removeprefix(prefix)]

    def list_known(self, prefix: str) -> Sequence[StoredFile]:
        """As the store said within ASK_AGAIN_SECONDS, or says now; as it said last, for as long as it is away.

        Raises StorageUnreachable where it has yet to say for the first time.
        """
        if not self._storage.is_shared:
            return self.ask(prefix)
        kept = self._find_kept(prefix)
        if kept is None:
            return self._ask_and_keep(prefix)
        if abs(time.time() - kept.asked_at) < ASK_AGAIN_SECONDS:
            return kept.files
        # Before asking, which may take a while: others go by what is kept meanwhile.
        with suppress(OSError):
            os.utime(self._get_path(prefix))
        if self._is_away:
            return kept.files
        try:
            # Patience is for those who have no answer yet.
            self._storage.store.check()
            return self._ask_and_keep(prefix)
        except StorageUnreachable as error:
            self._is_away = True
            log.warning("listing_kept", prefix=prefix, reason=error.message)
            return kept.files

    def forget(self, prefix: str) -> None:
        self._get_path(prefix).unlink(missing_ok=True)

    def _ask_and_keep(self, prefix: str) -> Sequence[StoredFile]:
        """An empty one is not worth it: whoever waits for a model wants to know when it comes."""
        files = self.ask(prefix)
        try:
            if files:
                self._keep(prefix, files)
            else:
                self.forget(prefix)
        except OSError as error:
            # A full disk, say. The answer is good without it.
            log.warning("listing_not_kept", prefix=prefix, reason=str(error))
        return files

    def _keep(self, prefix: str, files: Sequence[StoredFile]) -> None:
        path = self._get_path(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._storage.receive() as incoming:
            incoming.write(_FILES.dump_json(list(files)))
            incoming.finish().replace(path)

    def _find_kept(self, prefix: str) -> _Kept | None:
        path = self._get_path(prefix)
        try:
            return _Kept(_FILES.validate_json(path.read_bytes()), path.stat().st_mtime)
        except (OSError, ValueError):
            return None

    def _get_path(self, prefix: str) -> Path:
        return self._storage.root / CACHE_FOLDER / "listings" / f"{prefix.rstrip('/')}.json"
