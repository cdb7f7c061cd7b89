"""Listing, reading, writing and deleting stored files of any kind by their key: for backups and garbage collection."""

import hashlib
import re
from collections.abc import Iterable, Iterator

from jobs.files import leftovers
from jobs.files.storage import Storage
from jobs.files.store import StoredFile

# The folders with files that rows refer to; files in the others are temporary or can be computed again.
STORED_FOLDERS = ("artifacts", "datasets", "runs", "uploads")
# The form of each part of a key; no part begins with a dot, so no key leads out of the storage.
KEY_PART_FORM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")


def check_key(key: str) -> None:
    """Check that a stored file may have this key. Raises ValueError, such as for one that leads out of the storage."""
    folder, *names = key.split("/")
    if folder not in STORED_FOLDERS or not names or not all(KEY_PART_FORM.fullmatch(name) for name in names):
        raise ValueError(f"{key!r} is not the key of a stored file")


def list_files(storage: Storage, folders: Iterable[str] = STORED_FOLDERS) -> Iterator[StoredFile]:
    """All finished files of these folders, such as `datasets` or `artifacts/job_...`.

    Files of runs are those of this machine, and those that other machines have copied into the store. Files that are
    deleted meanwhile may be included, and files that are added meanwhile may be missing.
    """
    for folder in folders:
        prefix = f"{folder}/"
        known: set[str] = set()
        for store in storage.list_stores(prefix):
            for file in store.list(prefix):
                if file.key not in known:
                    known.add(file.key)
                    yield file


def read_file(storage: Storage, key: str) -> Iterator[bytes]:
    """The content of a file, in pieces. Raises FileNotFoundError before the first piece."""
    check_key(key)
    for store in storage.list_stores(key):
        file = store.find(key)
        if file is not None:
            yield from store.read(key, 0, file.size_bytes)
            return
    raise FileNotFoundError(f"{key} is not in storage")


def write_file(storage: Storage, key: str, chunks: Iterable[bytes]) -> None:
    """Store a file under its key; it appears only when it is complete."""
    check_key(key)
    with storage.receive() as incoming:
        for chunk in chunks:
            incoming.write(chunk)
        storage.store.put(key, incoming.finish())


def check_content(storage: Storage, key: str, sha256: str) -> bool:
    """Whether the file exists and has this SHA-256. Reads it completely."""
    digest = hashlib.sha256()
    try:
        for chunk in read_file(storage, key):
            digest.update(chunk)
    except FileNotFoundError:
        return False
    return digest.hexdigest() == sha256


def delete_file(storage: Storage, key: str) -> None:
    """Delete a file; for an upload or a run, all of its files, as they are of no use without each other."""
    check_key(key)
    folder, owner, *rest = key.split("/")
    match folder:
        case "datasets":
            storage.delete_dataset(owner.removesuffix(".jsonl"))
        case "artifacts":
            storage.delete_artifact(owner, "/".join(rest))
        case "uploads":
            storage.delete_upload(owner)
        case _:
            leftovers.delete_run_folders(storage, owner)
