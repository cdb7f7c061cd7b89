"""The bundle, the zip that a team downloads: pack, verify, unpack and open it.

Checking a bundle needs no torch. Only the manifest is parsed; the other files are only hashed.
"""

import hashlib
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from stat import S_ISLNK
from typing import IO

from emomodel.bundles.manifest import (
    MANIFEST_NAME,
    FileAltered,
    FileMissing,
    FileUnexpected,
    Manifest,
    NotABundle,
    UnsafeBundle,
    parse_manifest,
)
from emomodel.files import FileEntry, describe_file, sync

_CHUNK_BYTES = 1 << 20
# A manifest of a dozen files takes about 5 kB.
_MAX_MANIFEST_BYTES = 4 << 20
_MAX_FILE_COUNT = 1000
# However small a zip is, it may unpack to this size; beyond that, to this multiple of its own size. Weights hardly
# compress.
_MAX_SMALL_BUNDLE_BYTES = 256 << 20
_MAX_EXPANSION = 20
# Fixed, so that the same files give the same zip: the earliest time that the format allows.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o100644 << 16
_COMPRESSION = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
# What zipfile raises for a damaged file in addition to its own error, as it leaves many checks to lower libraries.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError)
_COMPRESSIBLE = {".json", ".jsonl", ".md", ".txt", ".jinja", ""}


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write `bundle.json` for all files in `folder`; return the manifest with `files`. Raises BundleError, OSError."""
    files = {name: describe_file(folder / name) for name in _list_files(folder) if name != MANIFEST_NAME}
    complete = manifest.model_copy(update={"files": files})
    with _write_atomically(folder / MANIFEST_NAME) as stream:
        stream.write((complete.model_dump_json(indent=2) + "\n").encode())
    return complete


def pack(folder: Path, zip_path: Path) -> Path:
    """Zip a folder that holds a manifest; the same files give the same bytes. Raises BundleError, OSError."""
    manifest = verify(folder)
    with _write_atomically(zip_path) as stream, zipfile.ZipFile(stream, "w") as archive:
        for name in [MANIFEST_NAME, *sorted(manifest.files)]:
            entry = zipfile.ZipInfo(name, _ZIP_TIME)
            entry.external_attr = _FILE_MODE
            # Weights and pictures don't compress; trying would cost minutes.
            is_text = PurePosixPath(name).suffix in _COMPRESSIBLE
            entry.compress_type = zipfile.ZIP_DEFLATED if is_text else zipfile.ZIP_STORED
            entry.file_size = (folder / name).stat().st_size
            with (folder / name).open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, _CHUNK_BYTES)
    return zip_path


def verify(path: Path) -> Manifest:
    """Compare every file of a bundle, zip or folder, with its manifest. Raises BundleError, which names the file."""
    if path.is_dir():
        return _verify_folder(path)
    with _open_zip(path) as archive:
        manifest = _read_zip_manifest(archive)
        for name, entry in manifest.files.items():
            _copy_checked(name, entry, archive.open(name), None)
    return manifest


def unpack(zip_path: Path, target: Path) -> Manifest:
    """Check a zipped bundle and write its files to `target`, all of them or none. Raises BundleError, FileExistsError.

    `target` must not exist, or be an empty folder.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{target} exists already")
    target.parent.mkdir(parents=True, exist_ok=True)
    with _open_zip(zip_path) as archive, tempfile.TemporaryDirectory(prefix=".unpack-", dir=target.parent) as scratch:
        manifest = _read_zip_manifest(archive)
        folder = Path(scratch) / "bundle"
        for name, entry in manifest.files.items():
            destination = folder / name
            destination.parent.mkdir(parents=True, exist_ok=True)
            with destination.open("wb") as stream:
                _copy_checked(name, entry, archive.open(name), stream)
        (folder / MANIFEST_NAME).write_bytes(archive.read(MANIFEST_NAME))
        folder.rename(target)
    return manifest


@contextmanager
def open_bundle(path: Path) -> Iterator[tuple[Path, Manifest]]:
    """Open a bundle, zip or folder: yields a folder whose files have been checked, and the manifest.

    A zip is unpacked into a temporary folder, which is deleted when the context ends. Raises BundleError.
    """
    if path.is_dir():
        yield path, verify(path)
        return
    with tempfile.TemporaryDirectory(prefix="emomodel-bundle-") as scratch:
        folder = Path(scratch) / "bundle"
        yield folder, unpack(path, folder)


def _verify_folder(folder: Path) -> Manifest:
    present = _list_files(folder)
    if MANIFEST_NAME not in present:
        raise NotABundle(f"{folder} holds no {MANIFEST_NAME}; give the folder or the zip that a job made")
    manifest = parse_manifest((folder / MANIFEST_NAME).read_bytes())
    _compare_names(manifest, set(present))
    for name, entry in manifest.files.items():
        _copy_checked(name, entry, (folder / name).open("rb"), None)
    return manifest


def _list_files(folder: Path) -> list[str]:
    """The relative paths of all files in `folder`, with slashes, sorted. Raises UnsafeBundle for a link."""
    names = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise UnsafeBundle(f"{name} is a link; a bundle holds files only")
        if path.is_file():
            names.append(name)
    return sorted(names)


@contextmanager
def _open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    damage = f"{path.name} is not a complete zip file; download it again"
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise NotABundle(f"{path} does not exist") from error
    except (*_DAMAGE, OSError) as error:
        # OSError too: in a damaged zip, offsets may point anywhere.
        raise NotABundle(f"{damage} ({error})") from error
    with archive:
        try:
            yield archive
        except _DAMAGE as error:
            raise NotABundle(f"{damage} ({error})") from error


def _read_zip_manifest(archive: zipfile.ZipFile) -> Manifest:
    """Read the manifest, and check that the zip's list of names is safe and matches it. Opens no other file."""
    entries = archive.infolist()
    _check_entries(entries, sum(entry.compress_size for entry in entries))
    names = {entry.filename for entry in entries}
    if MANIFEST_NAME not in names:
        raise NotABundle(f"the zip holds no {MANIFEST_NAME}; give the zip that a job made, unchanged")
    if archive.getinfo(MANIFEST_NAME).file_size > _MAX_MANIFEST_BYTES:
        raise UnsafeBundle(f"{MANIFEST_NAME} is larger than a manifest can be")
    manifest = parse_manifest(archive.read(MANIFEST_NAME))
    _compare_names(manifest, names)
    return manifest


def _check_entries(entries: list[zipfile.ZipInfo], packed_bytes: int) -> None:
    """Check the zip's directory. Raises UnsafeBundle, NotABundle."""
    if len(entries) > _MAX_FILE_COUNT:
        raise UnsafeBundle(f"the zip holds {len(entries)} files; a bundle holds at most {_MAX_FILE_COUNT}")
    unpacked_bytes = sum(entry.file_size for entry in entries)
    if unpacked_bytes > max(_MAX_SMALL_BUNDLE_BYTES, _MAX_EXPANSION * packed_bytes):
        raise UnsafeBundle(f"the zip would unpack from {packed_bytes} to {unpacked_bytes} bytes; it is not a bundle")
    seen: set[str] = set()
    for entry in entries:
        # The name as written, before zipfile cuts it at a null byte or replaces backslashes.
        name = entry.orig_filename
        parts = name.split("/")
        if name != entry.filename or "\\" in name or ":" in name or any(part in {"", ".", ".."} for part in parts):
            raise UnsafeBundle(f"the zip holds the path {name!r}, which leads out of the bundle")
        if S_ISLNK(entry.external_attr >> 16):
            raise UnsafeBundle(f"{name} is a link; a bundle holds files only")
        if name in seen:
            raise UnsafeBundle(f"the zip holds {name} twice")
        if entry.header_offset < 0:
            raise NotABundle(f"the zip's directory is damaged at {name}; download it again")
        if entry.compress_type not in _COMPRESSION:
            raise UnsafeBundle(f"{name} is compressed in a way that no bundle is")
        seen.add(name)


def _compare_names(manifest: Manifest, present: set[str]) -> None:
    """Compare the names in the manifest with those present. Raises FileMissing, FileUnexpected."""
    expected = {*manifest.files, MANIFEST_NAME}
    if missing := sorted(expected - present):
        raise FileMissing(f"{', '.join(missing)} is missing from the bundle; download it again")
    if unexpected := sorted(present - expected):
        raise FileUnexpected(f"{', '.join(unexpected)} is not in the bundle's manifest; download the bundle again")


def _copy_checked(name: str, entry: FileEntry, source: IO[bytes], target: IO[bytes] | None) -> None:
    """Read `source` to its end, copying it to `target`, and close it. Raises FileAltered if it differs from `entry`."""
    digest = hashlib.sha256()
    size_bytes = 0
    try:
        with source:
            while chunk := source.read(_CHUNK_BYTES):
                size_bytes += len(chunk)
                # Read and write no more than the manifest allows.
                if size_bytes > entry.size_bytes:
                    break
                digest.update(chunk)
                if target is not None:
                    target.write(chunk)
    except _DAMAGE as error:
        raise FileAltered(f"{name} is damaged: {error}; download the bundle again") from error
    if size_bytes != entry.size_bytes or digest.hexdigest() != entry.sha256:
        raise FileAltered(f"{name} is not the file that the bundle was made with; download the bundle again")


@contextmanager
def _write_atomically(path: Path) -> Iterator[IO[bytes]]:
    """Yield a stream. Its content appears at `path` once all of it is on the disk, and not at all after an error."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)
