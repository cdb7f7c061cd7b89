from pathlib import Path

import pytest

from emomodel.checkpoints.index import (
    INDEX_FILE,
    PARTIAL_FOLDER,
    delete_checkpoints,
    list_checkpoints,
    make_checkpoint_path,
    read_checkpoint,
    verify_checkpoint,
    write_index,
)
from emomodel.errors import CheckpointUnusable

FILES = {"trained.safetensors": b"weights", "optimizer.pt": b"moments"}


def make_checkpoint(folder: Path, step: int, eval_loss: float | None = None) -> Path:
    path = make_checkpoint_path(folder, step)
    path.mkdir(parents=True)
    for name, content in FILES.items():
        (path / name).write_bytes(content)
    write_index(path, step=step, course="c" * 64, eval_loss=eval_loss)
    return path


def test_whole_checkpoints_are_listed_newest_first(tmp_path: Path) -> None:
    for step in (9, 100, 20):
        make_checkpoint(tmp_path, step, eval_loss=step / 10)
    (tmp_path / "checkpoint-200").mkdir()
    (tmp_path / "other").mkdir()
    make_checkpoint(tmp_path / PARTIAL_FOLDER, 300)
    found = list_checkpoints(tmp_path)
    assert [(checkpoint.step, checkpoint.eval_loss) for checkpoint in found] == [(100, 10.0), (20, 2.0), (9, 0.9)]
    assert found[0].path == tmp_path / "checkpoint-100"
    assert found[0].size_bytes == sum(file.stat().st_size for file in found[0].path.iterdir())
    assert found[0].course == "c" * 64


def test_where_there_is_no_folder_there_is_no_checkpoint(tmp_path: Path) -> None:
    assert list_checkpoints(tmp_path / "nowhere") == []
    delete_checkpoints(tmp_path / "nowhere")


def _cut(path: Path) -> None:
    (path / "optimizer.pt").write_bytes(b"mom")


def _take_away(path: Path) -> None:
    (path / "optimizer.pt").unlink()


def _garble_index(path: Path) -> None:
    (path / INDEX_FILE).write_text('{"format_version": 1')


def _take_index(path: Path) -> None:
    (path / INDEX_FILE).unlink()


def _make_newer(path: Path) -> None:
    index = path / INDEX_FILE
    index.write_text(index.read_text().replace('"format_version": 1', '"format_version": 2'))


@pytest.mark.parametrize("damage", [_cut, _take_away, _garble_index, _take_index, _make_newer])
def test_what_is_not_whole_is_neither_listed_nor_read(tmp_path: Path, damage: object) -> None:
    path = make_checkpoint(tmp_path, 3)
    assert callable(damage)
    damage(path)
    assert list_checkpoints(tmp_path) == []
    with pytest.raises(CheckpointUnusable, match="checkpoint-3"):
        read_checkpoint(path)


def test_a_checkpoint_under_another_steps_name_is_not_read(tmp_path: Path) -> None:
    path = make_checkpoint(tmp_path, 3)
    with pytest.raises(CheckpointUnusable, match="step 3"):
        read_checkpoint(path.rename(tmp_path / "checkpoint-4"))
    with pytest.raises(CheckpointUnusable, match="not the name"):
        read_checkpoint(tmp_path / "other")


def test_a_changed_byte_is_found_by_reading_the_files(tmp_path: Path) -> None:
    path = make_checkpoint(tmp_path, 3)
    verify_checkpoint(path)
    (path / "optimizer.pt").write_bytes(b"momentz")
    assert [checkpoint.step for checkpoint in list_checkpoints(tmp_path)] == [3]
    with pytest.raises(CheckpointUnusable, match=r"checkpoint-3 is damaged: optimizer\.pt"):
        verify_checkpoint(path)


def test_all_checkpoints_go_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    make_checkpoint(folder, 3)
    _cut(make_checkpoint(folder, 6))
    make_checkpoint(folder / PARTIAL_FOLDER, 9)
    (folder / "note.txt").touch()
    delete_checkpoints(folder)
    assert [path.name for path in folder.iterdir()] == ["note.txt"]
    (folder / "note.txt").unlink()
    delete_checkpoints(folder)
    assert not folder.exists()
