"""Reading a backup: its manifest, its content, and verifying that it is complete."""

import gzip
import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pydantic import ValidationError

from jobs.backups.format import (
    DIGEST_MEMBER,
    FORMAT_VERSION,
    MANIFEST_MEMBER,
    ArchiveUnusable,
    FileEntry,
    Manifest,
    TableEntry,
)
from jobs.backups.plain_rows import PlainRow
from jobs.files.storage import COPY_BYTES
from jobs.files.stored_files import check_key

# How many faults an error names.
_LISTED_FAULTS = 10


class Archive:
    """An open backup, to be used as a context manager. Opening it raises ArchiveUnusable, also for a newer format."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._tar = tarfile.open(path, "r:")  # noqa: SIM115  closed by __exit__
        except tarfile.TarError as error:
            raise ArchiveUnusable(f"{path} is not an uncompressed tar archive: {error}.") from error
        try:
            self._members = {member.name: member for member in self._tar.getmembers()}
            self.manifest = self._read_manifest()
        except tarfile.TarError as error:
            self._tar.close()
            raise ArchiveUnusable(f"{path} is damaged: {error}.") from error
        except BaseException:
            self._tar.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tar.close()

    def verify(self) -> None:
        """Read the complete archive and compare it with the manifest.

        Raises ArchiveUnusable, which names the first faults.
        """
        faults = list(self._find_faults())
        if faults:
            more = f"; and {len(faults) - _LISTED_FAULTS} more" if len(faults) > _LISTED_FAULTS else ""
            raise ArchiveUnusable(f"{self.path} is damaged: {'; '.join(faults[:_LISTED_FAULTS])}{more}.")

    def read_rows(self, table: TableEntry) -> Iterator[PlainRow]:
        """The rows of a table, in the order of their primary keys."""
        with gzip.open(self._open(table.member), "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)

    def read_file(self, file: FileEntry) -> Iterator[bytes]:
        return self._read(file.member)

    def _read_manifest(self) -> Manifest:
        """The manifest, compared with its digest. Raises ArchiveUnusable."""
        if MANIFEST_MEMBER not in self._members or DIGEST_MEMBER not in self._members:
            raise ArchiveUnusable(f"{self.path} has no manifest: it is not a backup, or was truncated.")
        content = b"".join(self._read(MANIFEST_MEMBER))
        expected = b"".join(self._read(DIGEST_MEMBER)).split()[:1]
        if expected != [hashlib.sha256(content).hexdigest().encode()]:
            raise ArchiveUnusable(f"{self.path} is damaged: its manifest is not the one that was written.")
        document = json.loads(content)
        if document.get("format_version") != FORMAT_VERSION:
            raise ArchiveUnusable(
                f"{self.path} was made by emotune {document.get('emotune_version')}, in a format that this release "
                "doesn't know. Restore it with that release."
            )
        try:
            return Manifest.model_validate(document)
        except ValidationError as error:
            raise ArchiveUnusable(f"{self.path} has a manifest that can't be read: {error}") from error

    def _find_faults(self) -> Iterator[str]:
        manifest = self.manifest
        entries: list[TableEntry | FileEntry] = [*manifest.tables, *(manifest.files if manifest.has_files else ())]
        known = {entry.member for entry in entries} | {MANIFEST_MEMBER, DIGEST_MEMBER}
        yield from (f"{name} is not in the manifest" for name in self._members if name not in known)
        for file in manifest.files:
            try:
                check_key(file.key)
            except ValueError as error:
                yield str(error)
        for entry in entries:
            fault = self._find_fault(entry)
            if fault:
                yield f"{entry.member} {fault}"

    def _find_fault(self, entry: TableEntry | FileEntry) -> str | None:
        if entry.member not in self._members:
            return "is missing"
        size_bytes, digest = 0, hashlib.sha256()
        for chunk in self._read(entry.member):
            size_bytes += len(chunk)
            digest.update(chunk)
        if size_bytes != entry.size_bytes:
            return f"has {size_bytes} bytes, not {entry.size_bytes}"
        return None if digest.hexdigest() == entry.sha256 else "has another sha256 than when it was written"

    def _read(self, name: str) -> Iterator[bytes]:
        with self._open(name) as stream:
            while chunk := stream.read(COPY_BYTES):
                yield chunk

    def _open(self, name: str) -> IO[bytes]:
        """The stream of a member. Raises ArchiveUnusable if it is not a file."""
        stream = self._tar.extractfile(self._members[name])
        if stream is None:
            raise ArchiveUnusable(f"{self.path}: {name} is not a file.")
        return stream
