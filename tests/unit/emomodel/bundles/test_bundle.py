import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emomodel.__main__ import main
from emomodel.bundles import bundle
from emomodel.bundles.bundle import pack, unpack, verify, write_manifest
from emomodel.bundles.manifest import (
    FORMAT_VERSION,
    BundleError,
    DatasetEntry,
    FileAltered,
    FileMissing,
    FileUnexpected,
    Manifest,
    MetricsSummary,
    NewerFormat,
    NotABundle,
    UnsafeBundle,
    parse_manifest,
)
from emomodel.config import TrainConfig
from emomodel.emotions import DEFAULT_AXES

FILES = {"README.md": b"# Card\n", "emotion_proj.pth": os.urandom(3000), "adapter/adapter_config.json": b"{}"}


def make_manifest() -> Manifest:
    return Manifest(
        base_model="gemma",
        axes=DEFAULT_AXES.names,
        hidden_size=64,
        layer_sizes=(8, 32, 64),
        emotion_scale=1.0,
        emotion_centered=True,
        emotion_span="lead",
        config=TrainConfig(),
        dataset=DatasetEntry(name="chats", sha256="0" * 64, example_count=3),
        metrics=MetricsSummary(first_loss=5.0, final_loss=3.0, step_count=10, token_count=99, train_seconds=1.5),
        library_versions={"python": "3.11"},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "folder"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    write_manifest(root, make_manifest())
    return root


@pytest.fixture
def zip_path(folder: Path, tmp_path: Path) -> Path:
    return pack(folder, tmp_path / "bundle.zip")


def rewrite(zip_path: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    """Write the zip again, with its files changed by `change`."""
    with zipfile.ZipFile(zip_path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(zip_path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def test_manifest_names_each_file_with_size_and_hash(folder: Path) -> None:
    manifest = verify(folder)
    assert {name: (entry.size_bytes, entry.sha256) for name, entry in manifest.files.items()} == {
        name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in FILES.items()
    }
    assert manifest.model_copy(update={"files": {}}) == make_manifest()


def test_pack_and_unpack_give_the_files_back(zip_path: Path, folder: Path, tmp_path: Path) -> None:
    assert verify(zip_path) == verify(folder)
    target = tmp_path / "deep" / "target"
    assert unpack(zip_path, target) == verify(target)
    assert {name: (target / name).read_bytes() for name in FILES} == FILES
    assert sorted(path.name for path in target.parent.iterdir()) == ["target"]


def test_pack_is_deterministic_and_leaves_no_temporary_file(zip_path: Path, folder: Path, tmp_path: Path) -> None:
    os.utime(folder / "README.md", (1, 1))
    again = pack(folder, tmp_path / "again.zip")
    assert again.read_bytes() == zip_path.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.zip", "bundle.zip", "folder"]
    with zipfile.ZipFile(again) as archive:
        assert archive.namelist()[0] == "bundle.json"


def test_a_failing_pack_leaves_the_old_zip(zip_path: Path, folder: Path) -> None:
    before = zip_path.read_bytes()
    (folder / "README.md").write_bytes(b"# Other\n")
    with pytest.raises(FileAltered, match=r"README\.md"):
        pack(folder, zip_path)
    assert zip_path.read_bytes() == before


def test_missing_file_is_named(zip_path: Path, folder: Path) -> None:
    rewrite(zip_path, lambda files: files.pop("emotion_proj.pth"))
    (folder / "emotion_proj.pth").unlink()
    for path in (zip_path, folder):
        with pytest.raises(FileMissing, match=r"emotion_proj\.pth is missing"):
            verify(path)


def test_extra_file_is_named(zip_path: Path, folder: Path) -> None:
    rewrite(zip_path, lambda files: files.update({"adapter/run.py": b"import os"}))
    (folder / "adapter" / "run.py").write_text("import os")
    for path in (zip_path, folder):
        with pytest.raises(FileUnexpected, match=r"adapter/run\.py"):
            verify(path)


@pytest.mark.parametrize("content", [b"# Cars\n", b"", b"# Card\n\n"])
def test_altered_file_is_named(zip_path: Path, folder: Path, tmp_path: Path, content: bytes) -> None:
    rewrite(zip_path, lambda files: files.update({"README.md": content}))
    (folder / "README.md").write_bytes(content)
    for path in (zip_path, folder):
        with pytest.raises(FileAltered, match=r"README\.md"):
            verify(path)
    with pytest.raises(FileAltered):
        unpack(zip_path, tmp_path / "target")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle.zip", "folder"]


def test_no_flipped_byte_of_a_zip_goes_unseen(zip_path: Path, tmp_path: Path) -> None:
    """Whichever byte changes, what is read is what was packed, or the bundle is refused."""
    whole, content, changed_path = verify(zip_path), zip_path.read_bytes(), tmp_path / "changed.zip"

    @settings(max_examples=300, deadline=None)
    @given(position=st.integers(0, len(content) - 1), bits=st.integers(1, 255))
    def check(position: int, bits: int) -> None:
        changed = bytearray(content)
        changed[position] ^= bits
        changed_path.write_bytes(changed)
        try:
            assert verify(changed_path) == whole
        except BundleError:
            return

    check()


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "adapter/../../evil", "adapter//x", "C:/evil", "..\\evil", "./x", "adapter/"]
)
def test_paths_that_lead_out_are_refused(zip_path: Path, tmp_path: Path, name: str) -> None:
    rewrite(zip_path, lambda files: files.update({name: b""}))
    for check in (verify, lambda path: unpack(path, tmp_path / "target")):
        with pytest.raises(UnsafeBundle, match="leads out"):
            check(zip_path)
    assert not (tmp_path / "evil").exists()
    assert not (tmp_path / "target").exists()


def test_links_are_refused(zip_path: Path, folder: Path) -> None:
    with zipfile.ZipFile(zip_path, "a") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    (folder / "link").symlink_to("/etc/passwd")
    for path in (zip_path, folder):
        with pytest.raises(UnsafeBundle, match="link"):
            verify(path)


def test_a_name_used_twice_is_refused(zip_path: Path) -> None:
    with zipfile.ZipFile(zip_path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("README.md", b"# Other\n")
    with pytest.raises(UnsafeBundle, match="twice"):
        verify(zip_path)


def test_size_bombs_are_refused_before_anything_is_read(zip_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "_MAX_SMALL_BUNDLE_BYTES", 1 << 20)
    with zipfile.ZipFile(zip_path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(2 << 20))
    with pytest.raises(UnsafeBundle, match="would unpack from"):
        verify(zip_path)


def test_a_manifest_that_understates_a_size_stops_the_reading(zip_path: Path) -> None:
    def understate(files: dict[str, bytes]) -> None:
        document = json.loads(files["bundle.json"])
        document["files"]["emotion_proj.pth"]["size_bytes"] = 10
        files["bundle.json"] = json.dumps(document).encode()

    rewrite(zip_path, understate)
    with pytest.raises(FileAltered, match=r"emotion_proj\.pth"):
        verify(zip_path)


def test_a_newer_format_is_refused_with_advice() -> None:
    document = json.loads(make_manifest().model_dump_json()) | {
        "format_version": FORMAT_VERSION + 1,
        "something_new": 1,
    }
    with pytest.raises(NewerFormat, match="update emomodel"):
        parse_manifest(json.dumps(document).encode())


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format_version": 1}', b"\xff\xfe"])
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(NotABundle):
        parse_manifest(content)


def test_manifest_with_bad_axes_is_refused() -> None:
    document = json.loads(make_manifest().model_dump_json()) | {"axes": ["JOY", "FEAR"]}
    with pytest.raises(NotABundle, match="JOY"):
        parse_manifest(json.dumps(document).encode())


def test_what_is_no_zip_or_no_bundle_is_refused(tmp_path: Path, zip_path: Path) -> None:
    (tmp_path / "text.zip").write_text("hello")
    (tmp_path / "empty").mkdir()
    rewrite(zip_path, lambda files: files.pop("bundle.json"))
    for path in (tmp_path / "text.zip", tmp_path / "nowhere.zip", tmp_path / "empty", zip_path):
        with pytest.raises(NotABundle):
            verify(path)


def test_unpack_overwrites_nothing(zip_path: Path, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "precious").touch()
    with pytest.raises(FileExistsError):
        unpack(zip_path, tmp_path / "target")
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["precious"]


def as_format_1(zip_path: Path) -> None:
    def change(files: dict[str, bytes]) -> None:
        document = json.loads(files["bundle.json"])
        del document["origin"], document["imported_name"]
        files["bundle.json"] = json.dumps(document | {"format_version": 1}).encode()

    rewrite(zip_path, change)


def test_verify_command(zip_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    as_format_1(zip_path)
    assert main(["verify", str(zip_path)]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in FILES)
    assert "3 files match the manifest (format 1): gemma trained on chats, 8 axes" in printed
    assert "self-test not run: the bundle holds no reference prompts" in printed
    rewrite(zip_path, lambda files: files.pop("README.md"))
    assert main(["verify", str(zip_path)]) == 1
    assert "README.md is missing" in capsys.readouterr().err


def test_an_import_says_that_it_knows_no_training_and_a_training_must_know_it() -> None:
    unknown = {"config": None, "dataset": None, "metrics": None}
    document = json.loads(make_manifest().model_dump_json()) | unknown
    imported = json.dumps(document | {"origin": "import", "imported_name": "old"}).encode()
    assert parse_manifest(imported).source == "imported from old"
    with pytest.raises(NotABundle, match="an imported bundle needs imported_name"):
        parse_manifest(json.dumps(document | {"origin": "import"}).encode())
    with pytest.raises(NotABundle, match="a bundle of a training needs config, dataset and metrics"):
        parse_manifest(json.dumps(document).encode())
