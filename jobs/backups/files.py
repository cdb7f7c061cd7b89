"""Which stored files a backup includes, and copying them while the service runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from jobs.backups.format import FileEntry, TarWriter
from jobs.files.keys import make_artifact_key, make_dataset_key
from jobs.files.storage import CHECKPOINT_FOLDER, LOG_FILE, Storage
from jobs.files.store import StoredFile
from jobs.files.stored_files import list_files, read_file
from jobs.status import FINAL_STATUSES

# A run deletes checkpoints when it saves newer ones; the backup then looks for those, this many times.
MAX_ROUNDS = 5


@dataclass
class WantedFiles:
    """The files that the rows refer to, noted while the rows are read: datasets, artifacts, parts of uploads, logs of
    runs, and the checkpoints of unfinished jobs. `named` has size and SHA-256 by key, where the rows have them."""

    named: dict[str, tuple[int, str]] = field(default_factory=dict)
    _open_uploads: set[str] = field(default_factory=set)
    _jobs: set[str] = field(default_factory=set)
    _jobs_to_go_on: set[str] = field(default_factory=set)

    def note(self, table: str, row: Mapping[str, Any]) -> None:
        if table == "dataset":
            self.named[make_dataset_key(row["id"])] = (row["size_bytes"], row["sha256"])
        elif table == "artifact" and "deleted_at" not in row:
            self.named[make_artifact_key(row["job_id"], row["filename"])] = (row["size_bytes"], row["sha256"])
        elif table == "upload" and "dataset_id" not in row:
            self._open_uploads.add(row["id"])
        elif table == "job":
            self._jobs.add(row["id"])
            if row["status"] not in FINAL_STATUSES:
                self._jobs_to_go_on.add(row["id"])

    def has(self, key: str) -> bool:
        folder, owner, *path = key.split("/")
        if folder == "uploads":
            return owner in self._open_uploads
        if CHECKPOINT_FOLDER in (folder, *path):
            return owner in self._jobs_to_go_on
        if folder == "runs":
            return owner in self._jobs and path[1:] == [LOG_FILE]
        return key in self.named


@dataclass
class FilesTaken:
    """The files that are in the archive, or, for a backup without files, in the storage; and warnings."""

    entries: dict[str, FileEntry] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def find_missing(self, wanted: WantedFiles) -> list[str]:
        return sorted(wanted.named.keys() - self.entries.keys())


def list_wanted(storage: Storage, wanted: WantedFiles) -> FilesTaken:
    """List the files without reading them."""
    taken = FilesTaken()
    for file in list_files(storage):
        if wanted.has(file.key):
            size_bytes, sha256 = wanted.named.get(file.key, (file.size_bytes, None))
            taken.entries[file.key] = FileEntry(key=file.key, size_bytes=file.size_bytes, sha256=sha256)
            if size_bytes != file.size_bytes:
                taken.warnings.append(
                    f"{file.key} has {file.size_bytes} bytes, but {size_bytes} by its row: it is damaged"
                )
    return taken


def take_wanted(writer: TarWriter, storage: Storage, wanted: WantedFiles) -> FilesTaken:
    """Copy the files into the archive. A checkpoint is copied completely or not at all."""
    taken = FilesTaken()
    for _ in range(MAX_ROUNDS):
        files = [file for file in list_files(storage) if wanted.has(file.key) and file.key not in taken.entries]
        groups = [list(group) for _, group in groupby(files, key=_get_group)]
        were_there = [_take_group(writer, storage, group, taken) for group in groups]
        if all(were_there):
            break
    for key, entry in taken.entries.items():
        _, sha256 = wanted.named.get(key, (0, entry.sha256))
        if sha256 != entry.sha256:
            taken.warnings.append(f"{key} differs from its row (sha256 {entry.sha256}): it is damaged")
    return taken


def _take_group(writer: TarWriter, storage: Storage, group: list[StoredFile], taken: FilesTaken) -> bool:
    """Copy the files of one group; returns False, and copies none, if one was deleted since they were listed."""
    start = writer.get_place()
    entries = {}
    try:
        for file in group:
            size_bytes, sha256 = writer.add(f"files/{file.key}", read_file(storage, file.key))
            entries[file.key] = FileEntry(key=file.key, size_bytes=size_bytes, sha256=sha256)
    except FileNotFoundError:
        writer.go_back(start)
        return False
    taken.entries |= entries
    return True


def _get_group(file: StoredFile) -> str:
    """The group of a file: the folder of a checkpoint; any other file is a group of its own."""
    folder, _, _ = file.key.rpartition("/")
    return folder if CHECKPOINT_FOLDER in file.key.split("/") else file.key
