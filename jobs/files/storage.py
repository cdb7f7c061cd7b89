"""Storage: the files of an installation by the ids of their rows; atomic writes, checksums, deletion.

In the store, which is the data folder or a bucket (jobs/files/store.py):
datasets/<dataset_id>.jsonl           a dataset as JSON Lines; equal datasets of a team are hard links or copies
uploads/<upload_id>/<number>          the parts of an upload that is not complete
artifacts/<job_id>/<filename>         finished outputs
statistics/                           see jobs/data/insights.py
runs/<job_id>/<attempt>/              if the store is a bucket: the files of a run that other machines need

In the folder of this machine:
runs/<job_id>/<attempt>/              a run's working folder: request.json, log.txt, metrics.jsonl; output/ and
                                      checkpoints/ until the job has ended
incoming/                             files that are still being written
cache/                                see jobs/files/file_cache.py
swept/<host>                          empty; its modification time is that of the host's last sweep
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jobs.errors import DiskFull
from jobs.files.content import IncomingFile, StoredContent
from jobs.files.keys import ID_FORM, check_id, make_artifact_key, make_dataset_key, make_upload_prefix
from jobs.files.store import FolderStore, Store
from jobs.ids import new_id
from jobs.settings import Settings

COPY_BYTES = 1024**2

# Files of a run's folder that are kept after the job's end; its outputs have become artifacts.
REQUEST_FILE = "request.json"
LOG_FILE = "log.txt"
METRICS_FILE = "metrics.jsonl"
OUTPUT_FOLDER = "output"
CHECKPOINT_FOLDER = "checkpoints"
BASE_MODEL_FOLDER = "base_model"
ROW_REPORT_FILE = "row_report.parquet"
KEPT_FILES = frozenset({REQUEST_FILE, LOG_FILE, METRICS_FILE})

CACHE_FOLDER = "cache"


def open_storage(settings: Settings) -> "Storage":
    """The storage that the settings ask for: everything in the data folder, or finished files in a bucket."""
    if settings.storage_url is None:
        return Storage(settings.data_dir)
    # Imported here so that only installations with a bucket load it.
    from jobs.files.file_cache import FileCache
    from jobs.files.s3_store import open_store

    cache = FileCache(settings.data_dir / CACHE_FOLDER, max_bytes=settings.cache_bytes)
    return Storage(settings.data_dir, open_store(settings, cache))


class Storage:
    """All files of an installation. Finished files are in `store`, which by default is the data folder `root`."""

    def __init__(self, root: Path, store: Store | None = None) -> None:
        self.root = root
        self.store = store or FolderStore(root)

    @property
    def is_shared(self) -> bool:
        """Whether the store is shared by machines that do not share the data folder."""
        return not isinstance(self.store, FolderStore)

    def get_run_folder(self, job_id: str, attempt: int) -> Path:
        return self.root / "runs" / check_id(job_id) / str(attempt)

    def get_cache_folder(self, slot: str) -> Path:
        """The folder where a slot's training processes keep compiled code from one job to the next."""
        return self.root.absolute() / "compiled" / slot

    def note_sweep(self, host: str) -> None:
        """Record that the housekeeping of this host has just swept."""
        path = self._get_sweep_mark(host)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def get_sweep_age_seconds(self, host: str) -> float | None:
        """Seconds since the last sweep of this host; None if there was none."""
        try:
            return time.time() - self._get_sweep_mark(host).stat().st_mtime
        except OSError:
            return None

    def _get_sweep_mark(self, host: str) -> Path:
        return self.root / "swept" / host

    @contextmanager
    def receive(self) -> Iterator[IncomingFile]:
        """A temporary file to write; it is removed at the end of the block unless it was put into the store."""
        folder = self.root / "incoming"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / new_id("part")
        with path.open("wb") as stream:
            try:
                yield IncomingFile(path, stream)
            finally:
                path.unlink(missing_ok=True)

    @contextmanager
    def give(self, source: Path) -> Iterator[Path]:
        """A second name (hard link) of a finished file, for a store that takes over the file that it is given."""
        folder = self.root / "incoming"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / new_id("part")
        path.hardlink_to(source)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def put_artifact(self, job_id: str, filename: str, source: Path) -> tuple[int, str]:
        """Copy a file into the store as an artifact; returns its size in bytes and its SHA-256."""
        return self.put_copy(make_artifact_key(job_id, filename), source)

    def put_copy(self, key: str, source: Path) -> tuple[int, str]:
        """Copy a file into the store under any key; returns its size in bytes and its SHA-256."""
        with self.receive() as incoming, source.open("rb") as stream:
            while chunk := stream.read(COPY_BYTES):
                incoming.write(chunk)
            self.store.put(key, incoming.finish())
        return incoming.size_bytes, incoming.sha256

    def open_artifact(self, job_id: str, filename: str) -> StoredContent:
        """The content of an artifact, in the store. Raises FileNotFoundError."""
        return self._open(make_artifact_key(job_id, filename))

    def fetch_artifact(self, job_id: str, filename: str) -> Path:
        """A local file with the content, to be read now. Raises FileNotFoundError."""
        return self.store.fetch(make_artifact_key(job_id, filename))

    def delete_artifact(self, job_id: str, filename: str) -> None:
        self.store.delete(make_artifact_key(job_id, filename))

    def list_artifact_files(self, job_id: str) -> set[str]:
        """The names of all files that are stored as artifacts of a job, whether or not they have a row."""
        return self.store.list_names(f"artifacts/{check_id(job_id)}/")

    def put_dataset(self, dataset_id: str, incoming: IncomingFile, *, twin_id: str | None) -> None:
        """Store a dataset's file; if the dataset `twin_id` has the same content, as a second name of that file."""
        key = make_dataset_key(dataset_id)
        if twin_id is None or not self.store.copy(make_dataset_key(twin_id), key):
            self.store.put(key, incoming.finish())

    def open_dataset(self, dataset_id: str) -> StoredContent:
        """The content of a dataset, in the store. Raises FileNotFoundError."""
        return self._open(make_dataset_key(dataset_id))

    def fetch_dataset(self, dataset_id: str) -> Path:
        """A local file with the content, to be read now. Raises FileNotFoundError."""
        return self.store.fetch(make_dataset_key(dataset_id))

    def lend_dataset(self, dataset_id: str, folder: Path) -> Path:
        """A local file with the content that exists for as long as `folder` does. Raises FileNotFoundError."""
        return self.store.lend(make_dataset_key(dataset_id), folder)

    def delete_dataset(self, dataset_id: str) -> None:
        self.store.delete(make_dataset_key(dataset_id))

    def list_dataset_ids(self, older_than_seconds: float, now: float) -> set[str]:
        """The ids of the datasets whose file is older than this; `now` is in seconds since the epoch."""
        old = [file.key for file in self.store.list("datasets/") if now - file.modified_at > older_than_seconds]
        stems = {Path(key).stem for key in old}
        # File systems add files of their own to folders, such as .nfs...
        return {stem for stem in stems if ID_FORM.fullmatch(stem)}

    def put_part(self, upload_id: str, number: int, incoming: IncomingFile) -> None:
        self.store.put(f"{make_upload_prefix(upload_id)}{number}", incoming.finish())

    def read_part(self, upload_id: str, number: int, size_bytes: int) -> Iterator[bytes]:
        return self.store.read(f"{make_upload_prefix(upload_id)}{number}", 0, size_bytes)

    def list_parts(self, upload_id: str) -> dict[int, int]:
        """The size in bytes of each stored part, by its number, in order."""
        files = {Path(file.key).name: file.size_bytes for file in self.store.list(make_upload_prefix(upload_id))}
        return dict(sorted((int(name), size_bytes) for name, size_bytes in files.items() if name.isdecimal()))

    def delete_upload(self, upload_id: str) -> None:
        self.store.delete_all(make_upload_prefix(upload_id))

    def list_upload_ids(self) -> set[str]:
        """The ids of the uploads with stored parts."""
        return {name for name in self.store.list_names("uploads/") if ID_FORM.fullmatch(name)}

    def put_note(self, key: str, content: bytes) -> None:
        """Store a small file under any key."""
        with self.receive() as incoming:
            incoming.write(content)
            self.store.put(key, incoming.finish())

    def read_note(self, key: str) -> tuple[bytes, float]:
        """The content of a small file, and its time in seconds since the epoch. Raises FileNotFoundError."""
        content = self._open(key)
        return b"".join(content.read(0, content.file.size_bytes)), content.file.modified_at

    def get_checkpoint_folder(self, job_id: str, attempt: int) -> Path:
        """The folder of a run's checkpoints.

        Each run has its own, so that a run believed dead can't damage its successor's.
        """
        return self.get_run_folder(job_id, attempt) / CHECKPOINT_FOLDER

    def list_attempts(self, job_id: str) -> list[int]:
        """The attempts of a job that have a folder, oldest first."""
        folder = self.root / "runs" / check_id(job_id)
        return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()) if folder.is_dir() else []

    def find_log(self, job_id: str, attempt: int) -> Path | None:
        """The log of a run so far: the file itself, or the last copy by its machine. None if there is none."""
        path = self.get_run_folder(job_id, attempt) / LOG_FILE
        if path.is_file():
            return path
        try:
            return self.store.fetch(f"runs/{job_id}/{attempt}/{LOG_FILE}", changes=True)
        except FileNotFoundError:
            return None

    def list_abandoned(self, older_than_seconds: float, now: float) -> list[Path]:
        """Partial files left by dead processes and older than this; `now` is in seconds since the epoch."""
        return _list_older(self.root / "incoming", older_than_seconds, now)

    def _open(self, key: str) -> StoredContent:
        file = self.store.find(key)
        if file is None:
            raise FileNotFoundError(f"{key} is not in storage")
        return StoredContent(self.store, file)

    def get_free_bytes(self) -> int:
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free

    def check_free(self, needed_bytes: int) -> None:
        """Check that the disk has this much room. Raises DiskFull when fewer bytes are free."""
        if self.get_free_bytes() < needed_bytes:
            raise DiskFull

    def list_stores(self, key: str) -> Sequence[Store]:
        """The stores that may hold files with this key or prefix; for runs, the machine's own folder comes first."""
        return (FolderStore(self.root), self.store) if self.is_shared and key.startswith("runs/") else (self.store,)


def _list_older(folder: Path, seconds: float, now: float) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if now - path.stat().st_mtime > seconds]
