"""The files that runs leave behind: how many there are, and clearing them once the job has ended."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from jobs.files.keys import ID_FORM, check_id
from jobs.files.storage import CHECKPOINT_FOLDER, KEPT_FILES, Storage


def clear_run_folder(storage: Storage, job_id: str, attempt: int, *, keeps_checkpoints: bool = False) -> None:
    """Delete all files of a run but KEPT_FILES, and but its checkpoints if the job continues: weights are large."""
    folder = storage.get_run_folder(job_id, attempt)
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name in KEPT_FILES or (keeps_checkpoints and path.name == CHECKPOINT_FOLDER):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def clear_run_folders(storage: Storage, job_id: str) -> None:
    """Clear the folders of all runs of an ended job, and the copies of their checkpoints for other machines."""
    for attempt in storage.list_attempts(job_id):
        clear_run_folder(storage, job_id, attempt)
    if storage.is_shared:
        prefix = f"runs/{check_id(job_id)}/"
        for name in storage.store.list_names(prefix):
            storage.store.delete_all(f"{prefix}{name}/{CHECKPOINT_FOLDER}/")


def list_leftover_ids(storage: Storage) -> set[str]:
    """The ids of the jobs of which this machine has more than KEPT_FILES."""
    folder = storage.root / "runs"
    job_ids = {path.name for path in folder.iterdir() if ID_FORM.fullmatch(path.name)} if folder.is_dir() else set()
    return {job_id for job_id in job_ids if any(True for _ in _list_leftovers(storage, job_id))}


def _list_leftovers(storage: Storage, job_id: str) -> Iterator[Path]:
    for attempt in storage.list_attempts(job_id):
        folder = storage.get_run_folder(job_id, attempt)
        yield from (path for path in folder.iterdir() if path.name not in KEPT_FILES)


def measure_run_leftovers(storage: Storage, job_id: str) -> int | None:
    """The bytes that clear_run_folders would free, partial files included; None when there is nothing to free."""
    try:
        left = list(_list_leftovers(storage, job_id))
        files = [file for path in left for file in (path.rglob("*") if path.is_dir() else (path,)) if file.is_file()]
        sizes = [path.stat().st_size for path in files]
    except FileNotFoundError:
        # Another process is clearing them now.
        return None
    copies = [
        file.size_bytes
        for file in (storage.store.list(f"runs/{check_id(job_id)}/") if storage.is_shared else ())
        if f"/{CHECKPOINT_FOLDER}/" in file.key
    ]
    return sum(sizes) + sum(copies) if left or copies else None


def delete_run_folders(storage: Storage, job_id: str) -> None:
    """Delete all files of a job's runs, logs included."""
    prefix = f"runs/{check_id(job_id)}/"
    for store in storage.list_stores(prefix):
        store.delete_all(prefix)
