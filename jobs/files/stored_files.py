"""What is done to a stored file by its key alone, whatever it is: for backups, and for collecting garbage."""

import hashlib
import re
from collections.abc import Iterable, Iterator

from jobs.files import leftovers
from jobs.files.storage import Storage
from jobs.files.store import StoredFile

# The folders of what rows speak of; the others can be made again, or are of the moment.
STORED_FOLDERS = ("artifacts", "datasets", "runs", "uploads")
# Of a key; none begins with a dot, so none leads upwards.
KEY_PART_FORM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")


def check_key(key: str) -> None:
    """Raises ValueError for what is no stored file's key, such as one that leads out of the storage."""
    folder, *names = key.split("/")
    if folder not in STORED_FOLDERS or not names or not all(KEY_PART_FORM.fullmatch(name) for name in names):
        raise ValueError(f"{key!r} is no stored file's key")


def list_files(storage: Storage, folders: Iterable[str] = STORED_FOLDERS) -> Iterator[StoredFile]:
    """All finished files of these folders, such as `datasets` or `artifacts/job_...`.

    Of runs those of this machine, and what other machines have copied into the store. What is deleted meanwhile may be
    among them, and what comes meanwhile may not.
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
    """The content of a file, in pieces. Raises FileNotFoundError, before the first piece."""
    check_key(key)
    for store in storage.list_stores(key):
        file = store.find(key)
        if file is not None:
            yield from store.read(key, 0, file.size_bytes)
            return
    raise FileNotFoundError(f"{key} is not in storage")


def write_file(storage: Storage, key: str, chunks: Iterable[bytes]) -> None:
    """Put a file under its key; it is there when it is whole."""
    check_key(key)
    with storage.receive() as incoming:
        for chunk in chunks:
            incoming.write(chunk)
        storage.store.put(key, incoming.finish())


def check_content(storage: Storage, key: str, sha256: str) -> bool:
    """Whether the file is there and is what it should be. Reads all of it."""
    digest = hashlib.sha256()
    try:
        for chunk in read_file(storage, key):
            digest.update(chunk)
    except FileNotFoundError:
        return False
    return digest.hexdigest() == sha256


def delete_file(storage: Storage, key: str) -> None:
    """Of an upload or a run, with all the others that belong to it: they are of no use without each other."""
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
