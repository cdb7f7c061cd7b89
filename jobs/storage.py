"""Storage: ids to paths; atomic put, checksum, delete. A local folder.

datasets/<dataset_id>.jsonl           a dataset as JSON Lines; equal ones of a team are hard links to one file
uploads/<upload_id>/<number>          the parts of an upload that is not complete
runs/<job_id>/<attempt>/              a run's working folder: request.json, log.txt, metrics.jsonl, a while output/
                                      and checkpoints/
artifacts/<job_id>/<filename>         finished outputs
incoming/                             what is still being written
swept/<host>                          empty; its time is that of the last sweep of this host's housekeeping
"""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from emomodel.disk import sync
from jobs.errors import DiskFull
from jobs.ids import new_id

ID_FORM = re.compile(r"[a-z]+_[0-9a-z]{26}")
FILENAME_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
# Of a key; none begins with a dot, so none leads upwards.
KEY_PART_FORM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
COPY_BYTES = 1024**2

# Of a run's folder, what stays for reading after the job's end; what was made there has become artifacts.
REQUEST_FILE = "request.json"
LOG_FILE = "log.txt"
METRICS_FILE = "metrics.jsonl"
OUTPUT_FOLDER = "output"
CHECKPOINT_FOLDER = "checkpoints"
ROW_REPORT_FILE = "row_report.parquet"
KEPT_FILES = frozenset({REQUEST_FILE, LOG_FILE, METRICS_FILE})


# The folders of what rows speak of; the others can be made again, or are of the moment.
STORED_FOLDERS = ("artifacts", "datasets", "runs", "uploads")


@dataclass(frozen=True)
class StoredFile:
    """A finished file; `key` is its path below the storage's root, `modified_at` in seconds since the epoch."""

    key: str
    size_bytes: int
    modified_at: float


@dataclass
class IncomingFile:
    """A file being written under a temporary name, measured as it grows."""

    path: Path
    stream: BinaryIO
    size_bytes: int = 0
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def write(self, chunk: bytes) -> None:
        self.stream.write(chunk)
        self._digest.update(chunk)
        self.size_bytes += len(chunk)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def move_to(self, target: Path) -> None:
        """Make it durable under its final name."""
        self.stream.flush()
        os.fsync(self.stream.fileno())
        self.stream.close()
        target.parent.mkdir(parents=True, exist_ok=True)
        self.path.replace(target)
        sync(target.parent)


class Storage:
    """All files of an installation, under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get_dataset_path(self, dataset_id: str) -> Path:
        return self.root / "datasets" / f"{_checked_id(dataset_id)}.jsonl"

    def get_part_path(self, upload_id: str, number: int) -> Path:
        return self._get_upload_folder(upload_id) / str(number)

    def get_run_folder(self, job_id: str, attempt: int) -> Path:
        return self.root / "runs" / _checked_id(job_id) / str(attempt)

    def get_cache_folder(self, slot: str) -> Path:
        """Where a slot's training processes keep what they compile, from one job to the next."""
        return self.root.absolute() / "compiled" / slot

    def note_sweep(self, host: str) -> None:
        """The housekeeping of this host has swept just now."""
        path = self._get_sweep_mark(host)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def get_sweep_age_seconds(self, host: str) -> float | None:
        """How long ago that was; None if it never was."""
        try:
            return time.time() - self._get_sweep_mark(host).stat().st_mtime
        except OSError:
            return None

    def _get_sweep_mark(self, host: str) -> Path:
        return self.root / "swept" / host

    def get_artifact_path(self, job_id: str, filename: str) -> Path:
        if not FILENAME_FORM.fullmatch(filename):
            raise ValueError(f"{filename!r} is no artifact's file name")
        return self.root / "artifacts" / _checked_id(job_id) / filename

    @contextmanager
    def receive(self) -> Iterator[IncomingFile]:
        """A file to write; what was not moved to its place by the end of the block is removed."""
        folder = self.root / "incoming"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / new_id("part")
        with path.open("wb") as stream:
            try:
                yield IncomingFile(path, stream)
            finally:
                path.unlink(missing_ok=True)

    def put_artifact(self, job_id: str, filename: str, source: Path) -> tuple[int, str]:
        """Copy a file into its place; returns its size in bytes and its sha256."""
        with self.receive() as incoming, source.open("rb") as stream:
            while chunk := stream.read(COPY_BYTES):
                incoming.write(chunk)
            incoming.move_to(self.get_artifact_path(job_id, filename))
        return incoming.size_bytes, incoming.sha256

    def delete_artifact(self, job_id: str, filename: str) -> None:
        self.get_artifact_path(job_id, filename).unlink(missing_ok=True)

    def list_artifact_files(self, job_id: str) -> set[str]:
        """The names of all files that are stored for a job, whatever the rows say."""
        folder = self.root / "artifacts" / _checked_id(job_id)
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    def put_dataset(self, dataset_id: str, incoming: IncomingFile, *, twin_id: str | None) -> None:
        """Put a file into its place; where the dataset `twin_id` has the same content, as a second name of its file."""
        target = self.get_dataset_path(dataset_id)
        if twin_id is None or not _link(self.get_dataset_path(twin_id), target):
            incoming.move_to(target)

    def list_parts(self, upload_id: str) -> dict[int, int]:
        """The size in bytes of each part that is there, by its number, in order."""
        folder = self._get_upload_folder(upload_id)
        paths = [path for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []
        return {int(path.name): path.stat().st_size for path in sorted(paths, key=lambda path: int(path.name))}

    def delete_upload(self, upload_id: str) -> None:
        shutil.rmtree(self._get_upload_folder(upload_id), ignore_errors=True)

    def list_upload_ids(self, older_than_seconds: float, now: float) -> set[str]:
        """The ids of the uploads whose folder was last changed longer ago than this."""
        names = {path.name for path in _list_older(self.root / "uploads", older_than_seconds, now)}
        return {name for name in names if ID_FORM.fullmatch(name)}

    def delete_dataset(self, dataset_id: str) -> None:
        self.get_dataset_path(dataset_id).unlink(missing_ok=True)

    def get_checkpoint_folder(self, job_id: str, attempt: int) -> Path:
        """Each run writes into its own, so that one that was taken for dead can't spoil its successor's."""
        return self.get_run_folder(job_id, attempt) / CHECKPOINT_FOLDER

    def list_attempts(self, job_id: str) -> list[int]:
        """The attempts of a job that have a folder, oldest first."""
        folder = self.root / "runs" / _checked_id(job_id)
        return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()) if folder.is_dir() else []

    def clear_run_folder(self, job_id: str, attempt: int, *, keeps_checkpoints: bool = False) -> None:
        """Delete all but KEPT_FILES, and the checkpoints where the job goes on: weights are heavy."""
        folder = self.get_run_folder(job_id, attempt)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name in KEPT_FILES or (keeps_checkpoints and path.name == CHECKPOINT_FOLDER):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def clear_run_folders(self, job_id: str) -> None:
        """Those of all attempts, once the job has ended."""
        for attempt in self.list_attempts(job_id):
            self.clear_run_folder(job_id, attempt)

    def list_abandoned(self, older_than_seconds: float, now: float) -> list[Path]:
        """Files that some dead process left half-written; `now` in seconds since the epoch."""
        return _list_older(self.root / "incoming", older_than_seconds, now)

    def list_dataset_ids(self, older_than_seconds: float, now: float) -> set[str]:
        """The ids of the datasets whose file is here for longer than this."""
        stems = {path.stem for path in _list_older(self.root / "datasets", older_than_seconds, now)}
        # File systems put files of their own into folders, such as .nfs...
        return {stem for stem in stems if ID_FORM.fullmatch(stem)}

    def _get_upload_folder(self, upload_id: str) -> Path:
        return self.root / "uploads" / _checked_id(upload_id)

    def get_free_bytes(self) -> int:
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free

    def check_free(self, needed_bytes: int) -> None:
        """Raises DiskFull when less is free."""
        if self.get_free_bytes() < needed_bytes:
            raise DiskFull

    def list_files(self, prefix: str = "") -> Iterator[StoredFile]:
        """All finished files of datasets, uploads, artifacts and runs whose key begins like this, in order of keys.

        What is deleted meanwhile may be among them, and what comes meanwhile may not.
        """
        for folder in STORED_FOLDERS:
            if prefix.startswith(f"{folder}/"):
                below = prefix.rpartition("/")[0]
                yield from (file for file in self._walk(self.root / below) if file.key.startswith(prefix))
            elif f"{folder}/".startswith(prefix):
                yield from self._walk(self.root / folder)

    def read_file(self, key: str) -> Iterator[bytes]:
        """The content of a file, in pieces. Raises FileNotFoundError, before the first piece."""
        with self._get_path(key).open("rb") as stream:
            while chunk := stream.read(COPY_BYTES):
                yield chunk

    def write_file(self, key: str, chunks: Iterable[bytes]) -> None:
        """Put a file under its key; it is there when it is whole."""
        target = self._get_path(key)
        with self.receive() as incoming:
            for chunk in chunks:
                incoming.write(chunk)
            incoming.move_to(target)

    def measure_run_leftovers(self, job_id: str) -> int | None:
        """The bytes that clear_run_folders would free, half-written files among them; None where nothing is left."""
        folders = [self.get_run_folder(job_id, attempt) for attempt in self.list_attempts(job_id)]
        try:
            left = [path for folder in folders for path in folder.iterdir() if path.name not in KEPT_FILES]
            files = [file for path in left if path.is_dir() for file in self._walk(path, with_hidden=True)]
            sizes = [file.size_bytes for file in files] + [path.stat().st_size for path in left if path.is_file()]
        except FileNotFoundError:
            # Somebody else is clearing them now.
            return None
        return sum(sizes) if left else None

    def delete_run_folders(self, job_id: str) -> None:
        """All that the runs of a job have left, logs included."""
        shutil.rmtree(self.root / "runs" / _checked_id(job_id), ignore_errors=True)

    def _walk(self, folder: Path, *, with_hidden: bool = False) -> Iterator[StoredFile]:
        """Names that begin with a dot are of what is half-written, and of file systems."""
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if entry.name.startswith(".") and not with_hidden:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path), with_hidden=with_hidden)
            elif entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    found = entry.stat()
                    key = Path(entry.path).relative_to(self.root).as_posix()
                    yield StoredFile(key, found.st_size, found.st_mtime)

    def _get_path(self, key: str) -> Path:
        check_key(key)
        return self.root / key


def check_key(key: str) -> None:
    """Raises ValueError for what is no stored file's key, such as one that leads out of the storage."""
    folder, *names = key.split("/")
    if folder not in STORED_FOLDERS or not names or not all(KEY_PART_FORM.fullmatch(name) for name in names):
        raise ValueError(f"{key!r} is no stored file's key")


def make_dataset_key(dataset_id: str) -> str:
    return f"datasets/{_checked_id(dataset_id)}.jsonl"


def make_artifact_key(job_id: str, filename: str) -> str:
    return f"artifacts/{_checked_id(job_id)}/{filename}"


def _link(source: Path, target: Path) -> bool:
    """Whether `target` has become a second name of `source`: it may be gone, and not every file system can do it."""
    try:
        # The garbage collector judges by this time, and the second name has no row yet.
        os.utime(source)
        target.hardlink_to(source)
    except OSError:
        return False
    sync(target.parent)
    return True


def _list_older(folder: Path, seconds: float, now: float) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if now - path.stat().st_mtime > seconds]


def _checked_id(row_id: str) -> str:
    if not ID_FORM.fullmatch(row_id):
        raise ValueError(f"{row_id!r} is no row's id")
    return row_id
