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

# A warning is given when less than this many times the needed space is free.
DISK_MARGIN = 2

# Written and deleted again.
PROBE_KEY = "check/doctor"

# File systems whose locks or shared memory don't work across hosts, or are missing.
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ceph", "glusterfs", "lustre", "gpfs", "beegfs"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse"}
)


def check_data_folder(folder: Path) -> Finding:
    """Check that the folder exists, can be written to, and is closed to other accounts."""
    check = "data folder"
    if not folder.is_dir():
        advice = "Set EMOTUNE_DATA_DIR to the folder of the installation, or start one: `emotune up`."
        return fail(check, f"{folder} doesn't exist.", advice)
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(b"emotune doctor")
            os.fsync(stream.fileno())
    except OSError as error:
        advice = "Run this under the account of the API and the workers, and check that it owns the folder."
        return fail(check, f"{folder} can't be written to: {error.strerror}.", advice)
    found = folder.stat()
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = f"{stat.S_IMODE(found.st_mode):o}"
        return warn(check, f"{folder} is open to other accounts (mode {mode}).", f"chmod 700 {folder}")
    return ok(check, f"{folder} is private and can be written to.")


def check_disk(storage: Storage, *, needed_bytes: int) -> Finding:
    """Compare the free space with EMOTUNE_MIN_FREE_DISK_BYTES."""
    free_bytes = storage.get_free_bytes()
    message = f"{free_bytes / GIB:.1f} GiB are free on the data folder's disk; {needed_bytes / GIB:.1f} GiB are needed."
    advice = "Make room, so that slots take jobs again; `emotune garbage` shows what may be deleted."
    if free_bytes < needed_bytes:
        return fail("disk", message, advice)
    return warn("disk", message, advice) if free_bytes < DISK_MARGIN * needed_bytes else ok("disk", message)


def check_store(storage: Storage) -> Finding:
    """Check that the object store answers and can be written to."""
    advice = "Check that EMOTUNE_STORAGE_* are right for the bucket, and that its server can be reached from here."
    try:
        storage.store.check()
        storage.put_note(PROBE_KEY, b"")
        storage.store.delete(PROBE_KEY)
    except StorageUnreachable as error:
        return fail("object store", error.message, advice)
    return ok("object store", "It answers, and can be written to.")


def check_base_models(library: ModelLibrary) -> list[Finding]:
    """Return a finding for each model on the list."""
    try:
        models = library.list_all()
    except (StorageUnreachable, BaseModelMissing) as error:
        return [fail("base models", error.message, "Correct EMOTUNE_BASE_MODELS, or make the object store reachable.")]
    if not models:
        advice = "Set EMOTUNE_BASE_MODELS, the same for the API and all workers."
        return [warn("base models", "The list is empty: no job can be posted.", advice)]
    return [check_base_model(model, is_available=is_available) for model, is_available in models]


def check_base_model(model: ListedModel, *, is_available: bool) -> Finding:
    """Check that config, weights and tokenizer exist and are readable. A model in storage is only listed."""
    check = f"base model {model.name}"
    if model.stored_bytes is not None:
        advice = "Put it there with `emotune models push`, or remove it from EMOTUNE_BASE_MODELS."
        if not is_available or not model.stored_bytes:
            return fail(check, f"{model.path} has no config.json, or no weights (*.safetensors).", advice)
        return ok(check, f"{model.path} has {model.stored_bytes / GIB:.1f} GiB of weights.")
    if not model.is_folder:
        return ok(check, f"{model.path} comes from a model hub, and was not checked.")
    advice = f"Restore {model.path}, or remove it from EMOTUNE_BASE_MODELS."
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
    """Check the GPU of the slot that these settings describe."""
    try:
        reading = device.read()
        processes = device.list_processes()
    except GpuUnreadable as error:
        advice = "Check that `nvidia-smi` shows the GPU, and that EMOTUNE_SLOT_GPU is its index or UUID."
        return fail("gpu", str(error), advice)
    if reading.gpu_name is None:
        return ok("gpu", "None is needed: EMOTUNE_SLOT_DEVICE is cpu here.")
    used, memory = (reading.memory_used_bytes or 0) / GIB, (reading.memory_bytes or 0) / GIB
    message = f"{reading.gpu_name}: {used:.1f} of {memory:.1f} GiB in use, {len(processes)} processes."
    return ok("gpu", message)


def find_file_system(path: Path, mounts: Iterable[tuple[str, str]] | None = None) -> str | None:
    """Return the kind of the file system that holds a path.

    `mounts` are pairs of mount point and kind; the default is those of this machine.
    """
    if mounts is None:
        mounts = [(each.mountpoint, each.fstype) for each in psutil.disk_partitions(all=True)]
    real = path.resolve()
    holding = [(Path(point), kind) for point, kind in mounts if real.is_relative_to(point)]
    # Of two mounts at one point the later one hides the earlier one.
    return max(enumerate(holding), key=lambda each: (len(each[1][0].parts), each[0]))[1][1] if holding else None


def check_sqlite(path: Path, mounts: Iterable[tuple[str, str]] | None = None) -> Finding:
    """Check the file before connecting to it: it has to be in WAL mode, and on a disk of this machine."""
    check = "sqlite"
    if not path.is_file():
        return fail(check, f"{path} doesn't exist.", "`emotune migrate` makes it; or EMOTUNE_DATA_DIR is wrong.")
    kind = find_file_system(path, mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        advice = "Put it on a local disk, or use PostgreSQL: over a network SQLite files get damaged."
        return fail(check, f"{path} is on a network file system ({kind}).", advice)
    try:
        with path.open("rb") as stream:
            header = stream.read(20)
    except OSError as error:
        return fail(check, f"{path} can't be read: {error.strerror}.", "Run this under the account of the API.")
    if not header.startswith(b"SQLite format 3\x00"):
        return fail(check, f"{path} is not an SQLite database.", "Restore it from a backup.")
    # The versions for writing and reading: https://www.sqlite.org/fileformat.html
    if header[18:20] != b"\x02\x02":
        advice = "The next process of emotune that connects sets it; another program has changed it."
        return warn(check, f"{path} is not in WAL mode: readers and the writer wait for each other.", advice)
    return ok(check, f"{path} is in WAL mode and on a local disk.")
