"""RunCopies: copies of a run's log and checkpoints in a store that several machines share.

runs/<job_id>/<attempt>/log.txt                        as far as it was written at the last copy
runs/<job_id>/<attempt>/checkpoints/<name>/<file>      complete once the index exists: it is written last and deleted
first

Each machine has its own run folders. Without these copies a job that is resumed on another machine would start again
from the beginning.
"""

import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from emomodel.checkpoints.index import INDEX_FILE, PARTIAL_FOLDER, CheckpointInfo, get_step, list_checkpoints
from jobs.files.storage import CHECKPOINT_FOLDER, LOG_FILE, Storage
from jobs.files.store import StoredFile

# If the newest is damaged, the one before it is used.
FETCHED_COUNT = 2


class RunCopies:
    """The copies of all runs of one job."""

    def __init__(self, storage: Storage, job_id: str) -> None:
        self._storage = storage
        self._job_id = job_id

    def put_log(self, attempt: int) -> None:
        """Copy the log of a run as far as it is written now."""
        content = (self._storage.get_run_folder(self._job_id, attempt) / LOG_FILE).read_bytes()
        self._storage.put_note(f"{self._make_prefix(attempt)}{LOG_FILE}", content)

    def put_checkpoints(self, attempt: int) -> int:
        """Bring the copies of a run's checkpoints up to date: add new ones, then delete old ones.

        Returns their number. Raises FileNotFoundError when a local checkpoint is deleted meanwhile.
        """
        checkpoints = list_checkpoints(self._storage.get_checkpoint_folder(self._job_id, attempt))
        copied = self._list_copied(attempt)
        for checkpoint in checkpoints:
            if not _is_whole(copied.get(checkpoint.path.name, ())):
                self._put(attempt, checkpoint)
        for name in copied.keys() - {checkpoint.path.name for checkpoint in checkpoints}:
            self._delete(copied[name])
        return len(checkpoints)

    def fetch_checkpoints(self, before_attempt: int) -> None:
        """Fetch the newest checkpoints of earlier attempts to this machine, unless it made them itself."""
        found = [
            (get_step(Path(name)), attempt, name, files)
            for attempt in self._list_attempts()
            if attempt < before_attempt
            for name, files in self._list_copied(attempt).items()
            if _is_whole(files)
        ]
        for _, attempt, name, files in sorted(found, key=lambda each: each[:2], reverse=True)[:FETCHED_COUNT]:
            self._fetch(attempt, name, files)

    def delete_checkpoints(self, before_attempt: int | None = None) -> None:
        """Delete the copied checkpoints of all attempts, or of those before `before_attempt`."""
        for attempt in self._list_attempts():
            if before_attempt is None or attempt < before_attempt:
                for files in self._list_copied(attempt).values():
                    self._delete(files)

    def _put(self, attempt: int, checkpoint: CheckpointInfo) -> None:
        prefix = f"{self._make_prefix(attempt)}{CHECKPOINT_FOLDER}/{checkpoint.path.name}/"
        for file in sorted(checkpoint.path.iterdir(), key=lambda file: file.name == INDEX_FILE):
            with self._storage.give(file) as path:
                self._storage.store.put(f"{prefix}{file.name}", path)

    def _fetch(self, attempt: int, name: str, files: Sequence[StoredFile]) -> None:
        folder = self._storage.get_checkpoint_folder(self._job_id, attempt)
        if (folder / name).exists():
            return
        # In this folder, remains of a killed process are deleted together with the checkpoints.
        partial = folder / PARTIAL_FOLDER / name
        partial.mkdir(parents=True, exist_ok=True)
        try:
            for file in files:
                with (partial / Path(file.key).name).open("wb") as stream:
                    stream.writelines(self._storage.store.read(file.key, 0, file.size_bytes))
            partial.rename(folder / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _delete(self, files: Sequence[StoredFile]) -> None:
        for file in sorted(files, key=lambda file: not _is_index(file)):
            self._storage.store.delete(file.key)

    def _list_attempts(self) -> list[int]:
        names = self._storage.store.list_names(f"runs/{self._job_id}/")
        return sorted(int(name) for name in names if name.isdecimal())

    def _list_copied(self, attempt: int) -> dict[str, list[StoredFile]]:
        """The copied files of each checkpoint of an attempt, by the checkpoint's name."""
        found = defaultdict(list)
        for file in self._storage.store.list(f"{self._make_prefix(attempt)}{CHECKPOINT_FOLDER}/"):
            found[Path(file.key).parent.name].append(file)
        return dict(found)

    def _make_prefix(self, attempt: int) -> str:
        return f"runs/{self._job_id}/{attempt}/"


def _is_index(file: StoredFile) -> bool:
    return file.key.endswith(f"/{INDEX_FILE}")


def _is_whole(files: Sequence[StoredFile]) -> bool:
    return any(_is_index(file) for file in files)
