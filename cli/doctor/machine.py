"""Checks of this machine: the data folder and its disk, the base models' files, the GPU."""

import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

import psutil

from cli.doctor.findings import Finding, fail, ok, warn
from jobs.base_models.base_model import ListedModel
from jobs.base_models.library import ModelLibrary
from jobs.data.insights import load_tokenizer
from jobs.errors import BaseModelMissing, EmotuneError, StorageUnreachable
from jobs.files.storage import Storage
from jobs.settings import GIB
from worker.slot.gpu import GpuUnreadable, SlotDevice

# Below so many times what is needed, the disk is soon too full.
DISK_MARGIN = 2

# Written and deleted again.
PROBE_KEY = "check/doctor"

# Their locks, or their shared memory, don't work across hosts; some have none.
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ceph", "glusterfs", "lustre", "gpfs", "beegfs"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse"}
)


def check_data_folder(folder: Path) -> Finding:
    """Whether it is there, ours to write to, and closed to other accounts."""
    check = "data folder"
    if not folder.is_dir():
        advice = "Set EMOTUNE_DATA_DIR to the folder of the installation, or start one: `emotune up`."
        return fail(check, f"{folder} is not there.", advice)
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(b"emotune doctor")
            os.fsync(stream.fileno())
    except OSError as error:
        advice = "Run this under the account of the API and the workers, and see that the folder is its own."
        return fail(check, f"{folder} can't be written to: {error.strerror}.", advice)
    found = folder.stat()
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = f"{stat.S_IMODE(found.st_mode):o}"
        return warn(check, f"{folder} is open to other accounts (mode {mode}).", f"chmod 700 {folder}")
    return ok(check, f"{folder} is private and can be written to.")


def check_disk(storage: Storage, *, needed_bytes: int) -> Finding:
    """What is free, against EMOTUNE_MIN_FREE_DISK_BYTES."""
    free_bytes = storage.get_free_bytes()
    message = f"{free_bytes / GIB:.1f} GiB are free on the data folder's disk; {needed_bytes / GIB:.1f} GiB are needed."
    advice = "Make room: old checkpoints, artifacts and datasets are the largest; then slots take jobs again."
    if free_bytes < needed_bytes:
        return fail("disk", message, advice)
    return warn("disk", message, advice) if free_bytes < DISK_MARGIN * needed_bytes else ok("disk", message)


def check_store(storage: Storage) -> Finding:
    """Whether the object store answers, and takes what is written."""
    advice = "See that EMOTUNE_STORAGE_* are those of the bucket, and that its server is reached from here."
    try:
        storage.store.check()
        storage.put_note(PROBE_KEY, b"")
        storage.store.delete(PROBE_KEY)
    except StorageUnreachable as error:
        return fail("object store", error.message, advice)
    return ok("object store", "It answers, and takes what is written.")


def check_base_models(library: ModelLibrary) -> list[Finding]:
    """One finding for each model on the list."""
    try:
        models = library.list_all()
    except (StorageUnreachable, BaseModelMissing) as error:
        return [fail("base models", error.message, "Mend EMOTUNE_BASE_MODELS, or what keeps the object store away.")]
    if not models:
        advice = "Set EMOTUNE_BASE_MODELS, the same for the API and all workers."
        return [warn("base models", "The list is empty: no job can be posted.", advice)]
    return [check_base_model(model, is_available=is_available) for model, is_available in models]


def check_base_model(model: ListedModel, *, is_available: bool) -> Finding:
    """Whether config, weights and tokenizer are there, and readable. What is in storage is only listed."""
    check = f"base model {model.name}"
    if model.stored_bytes is not None:
        advice = "Put it there with `emotune models push`, or take it off EMOTUNE_BASE_MODELS."
        if not is_available or not model.stored_bytes:
            return fail(check, f"{model.path} has no config.json, or no weights (*.safetensors).", advice)
        return ok(check, f"{model.path} has {model.stored_bytes / GIB:.1f} GiB of weights.")
    if not model.is_folder:
        return ok(check, f"{model.path} comes from a model hub, and was not looked at.")
    advice = f"Restore {model.path}, or take it off EMOTUNE_BASE_MODELS."
    if not is_available:
        return fail(check, f"{model.path} has no config.json.", advice)
    try:
        size_bytes = model.size_bytes or 0
        load_tokenizer(model)
    except EmotuneError as error:
        return fail(check, error.message, advice)
    except OSError as error:
        return fail(check, f"{error.filename} can't be read: {error.strerror}.", advice)
    unreadable = [file.name for file in Path(model.path).expanduser().iterdir() if not os.access(file, os.R_OK)]
    if not size_bytes or unreadable:
        what = f"{', '.join(unreadable)} can't be read" if unreadable else "there are no weights (*.safetensors)"
        return fail(check, f"In {model.path} {what}.", advice)
    return ok(check, f"Config, tokenizer and {size_bytes / GIB:.1f} GiB of weights are in {model.path}.")


def check_gpu(device: SlotDevice) -> Finding:
    """Of the slot that these settings describe. A CPU has nothing to tell but its machine's memory."""
    try:
        reading = device.read()
        processes = device.list_processes()
    except GpuUnreadable as error:
        advice = "See whether `nvidia-smi` shows the GPU, and that EMOTUNE_SLOT_GPU is its index or UUID."
        return fail("gpu", str(error), advice)
    if reading.gpu_name is None:
        return ok("gpu", "None is asked for: EMOTUNE_SLOT_DEVICE is cpu here.")
    used, memory = (reading.memory_used_bytes or 0) / GIB, (reading.memory_bytes or 0) / GIB
    message = f"{reading.gpu_name}: {used:.1f} of {memory:.1f} GiB in use, {len(processes)} processes."
    return ok("gpu", message)


def find_file_system(path: Path, mounts: Iterable[tuple[str, str]] | None = None) -> str | None:
    """The kind of file system that holds a path: of (mount point, kind), or of those of this machine."""
    if mounts is None:
        mounts = [(each.mountpoint, each.fstype) for each in psutil.disk_partitions(all=True)]
    real = path.resolve()
    holding = [(Path(point), kind) for point, kind in mounts if real.is_relative_to(point)]
    # Of two mounts on one point the later hides the earlier.
    return max(enumerate(holding), key=lambda each: (len(each[1][0].parts), each[0]))[1][1] if holding else None


def check_sqlite(path: Path, mounts: Iterable[tuple[str, str]] | None = None) -> Finding:
    """The file as it is, before anybody connects: in WAL mode, and on a disk of this machine."""
    check = "sqlite"
    if not path.is_file():
        return fail(check, f"There is no {path}.", "`emotune migrate` makes it; or EMOTUNE_DATA_DIR is wrong.")
    kind = find_file_system(path, mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        advice = "Put it on a local disk, or use PostgreSQL: over a network SQLite gets damaged."
        return fail(check, f"{path} is on a network file system ({kind}).", advice)
    try:
        with path.open("rb") as stream:
            header = stream.read(20)
    except OSError as error:
        return fail(check, f"{path} can't be read: {error.strerror}.", "Run this under the account of the API.")
    if not header.startswith(b"SQLite format 3\x00"):
        return fail(check, f"{path} is no SQLite database.", "Restore it from a backup.")
    # The versions for writing and reading: https://www.sqlite.org/fileformat.html
    if header[18:20] != b"\x02\x02":
        advice = "Whatever connects to it next of emotune sets that; something else has changed it."
        return warn(check, f"{path} is not in WAL mode: readers and the writer wait for each other.", advice)
    return ok(check, f"{path} is in WAL mode and on a local disk.")
