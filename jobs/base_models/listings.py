"""ModelListings: which files a base model in storage has, as this machine last saw them.

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

# How soon a model that was pushed again is noticed, and how often a caller waits for a store that can't be reached.
ASK_AGAIN_SECONDS = 10.0

_FILES = TypeAdapter(list[StoredFile])

log = structlog.get_logger()


@dataclass(frozen=True)
class _Kept:
    files: Sequence[StoredFile]
    asked_at: float


class ModelListings:
    """The listings of models in storage, cached where the store is on the network.

    Make a new object for each call: after a failure, it does not ask the store again.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._is_away = False

    def ask(self, prefix: str) -> Sequence[StoredFile]:
        """The files as the store lists them now. Raises StorageUnreachable."""
        return [file for file in self._storage.store.list(prefix) if "/" not in file.key.removeprefix(prefix)]

    def list_known(self, prefix: str) -> Sequence[StoredFile]:
        """The files as listed within ASK_AGAIN_SECONDS, or now; while the store can't be reached, as listed last.

        Raises StorageUnreachable when they were never listed.
        """
        if not self._storage.is_shared:
            return self.ask(prefix)
        kept = self._find_kept(prefix)
        if kept is None:
            return self._ask_and_keep(prefix)
        if abs(time.time() - kept.asked_at) < ASK_AGAIN_SECONDS:
            return kept.files
        # Before asking, which may take a while: other callers use the cached listing meanwhile.
        with suppress(OSError):
            os.utime(self._get_path(prefix))
        if self._is_away:
            return kept.files
        try:
            # check() fails fast; only callers without a cached listing wait longer.
            self._storage.store.check()
            return self._ask_and_keep(prefix)
        except StorageUnreachable as error:
            self._is_away = True
            log.warning("listing_kept", prefix=prefix, reason=error.message)
            return kept.files

    def forget(self, prefix: str) -> None:
        self._get_path(prefix).unlink(missing_ok=True)

    def _ask_and_keep(self, prefix: str) -> Sequence[StoredFile]:
        """An empty listing is not cached, so that a new model is noticed at once."""
        files = self.ask(prefix)
        try:
            if files:
                self._keep(prefix, files)
            else:
                self.forget(prefix)
        except OSError as error:
            # The disk may be full, for example. The answer is valid without the cache.
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
