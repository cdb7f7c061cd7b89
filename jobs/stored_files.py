"""What is done to a stored file by its key alone, whatever it is."""

import hashlib

from jobs.storage import Storage, check_key


def check_content(storage: Storage, key: str, sha256: str) -> bool:
    """Whether the file is there and is what it should be. Reads all of it."""
    digest = hashlib.sha256()
    try:
        for chunk in storage.read_file(key):
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
            storage.delete_run_folders(owner)
