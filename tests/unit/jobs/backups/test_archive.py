"""Archives that are damaged, cut off or of a newer format, and files that are no archives."""

import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobs.backups.archive import Archive
from jobs.backups.format import ArchiveUnusable, TarWriter
from jobs.clock import utc_now
from tests.support.boxes import Box


def test_an_archive_in_a_newer_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with path.open("w+b") as stream:
        writer = TarWriter(stream, made_at=utc_now())
        _, sha256 = writer.add("manifest.json", [b'{"format_version": 2, "emotune_version": "9.0"}'])
        writer.add("manifest.sha256", [f"{sha256}  manifest.json\n".encode()])
        writer.close()
    with pytest.raises(ArchiveUnusable, match=r"made by emotune 9\.0"):
        Archive(path)


@given(place=st.integers(0, 10**9))
@hypothesis_settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_changed_byte_is_found_wherever_it_matters(archive_path: Path, place: int) -> None:
    whole = archive_path.read_bytes()
    with Archive(archive_path) as archive:
        archive.verify()
    with tarfile.open(archive_path) as tar:
        spans = [(member.offset_data, member.size) for member in tar if member.size]
    start, size = spans[place % len(spans)]
    changed = bytearray(whole)
    # The name after the digest is only for `sha256sum`.
    changed[start + place % min(size, 64)] ^= 0x04
    path = archive_path.with_name("changed.tar")
    path.write_bytes(changed)
    with pytest.raises(ArchiveUnusable, match="is damaged"), Archive(path) as archive:
        archive.verify()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.8])
def test_an_archive_that_was_cut_off_is_refused(archive_path: Path, other_box: Box, share: float) -> None:
    os.truncate(archive_path, int(archive_path.stat().st_size * share))
    with pytest.raises(ArchiveUnusable):
        other_box.restore(archive_path)
    assert other_box.read_all() == {}


def test_what_is_no_archive_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(b"hello" * 1000)
    with pytest.raises(ArchiveUnusable, match="not an uncompressed tar archive"):
        Archive(path)
