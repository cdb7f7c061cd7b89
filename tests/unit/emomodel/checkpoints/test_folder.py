from pathlib import Path

import pytest

from emomodel.checkpoints.folder import CheckpointFolder
from emomodel.checkpoints.index import INDEX_FILE, make_checkpoint_path

COURSE = "a" * 64


def make_folder(path: Path, *, course: str = COURSE, kept_count: int = 2, keeps_best: bool = True) -> CheckpointFolder:
    return CheckpointFolder(path, course=course, kept_count=kept_count, keeps_best=keeps_best)


def save(folder: CheckpointFolder, step: int, eval_loss: float | None = None) -> None:
    partial = make_checkpoint_path(folder.scratch, step)
    partial.mkdir(parents=True)
    (partial / "weights").write_bytes(b"%d" % step)
    saved = folder.adopt(step, eval_loss=eval_loss)
    assert (saved.step, saved.eval_loss) == (step, eval_loss)


def list_steps(path: Path) -> list[int]:
    return sorted(int(folder.name.removeprefix("checkpoint-")) for folder in path.glob("checkpoint-*"))


@pytest.mark.parametrize(
    ("kept_count", "keeps_best", "kept"),
    [(1, False, [5]), (2, False, [4, 5]), (9, False, [1, 2, 3, 4, 5]), (1, True, [2, 5]), (2, True, [2, 4, 5])],
)
def test_the_last_checkpoints_and_the_best_are_kept(
    tmp_path: Path, kept_count: int, keeps_best: bool, kept: list[int]
) -> None:
    folder = make_folder(tmp_path, kept_count=kept_count, keeps_best=keeps_best)
    for step, eval_loss in enumerate([3.0, 1.5, None, 2.0, 1.6], start=1):
        save(folder, step, eval_loss)
    assert list_steps(tmp_path) == kept


def test_the_last_that_is_the_best_is_kept_once(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, kept_count=1)
    for step in (1, 2, 3):
        save(folder, step, 1.0 / step)
    assert list_steps(tmp_path) == [3]


def test_a_checkpoint_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    path = make_checkpoint_path(tmp_path, 4)
    path.mkdir()
    (path / "old").touch()
    save(make_folder(tmp_path), 4)
    assert sorted(file.name for file in path.iterdir()) == [INDEX_FILE, "weights"]


def test_what_is_damaged_or_of_a_later_step_goes_and_another_course_stays(tmp_path: Path) -> None:
    other = make_folder(tmp_path, course="b" * 64)
    save(other, 50)
    own = make_folder(tmp_path)
    for step in (10, 20, 30):
        save(own, step)
    (tmp_path / "checkpoint-20" / "weights").write_bytes(b"cut")
    # The training resumed at step 20 or earlier, because the checkpoint of step 30 was found unusable.
    save(own, 25)
    assert list_steps(tmp_path) == [25, 50]


def test_nothing_of_a_checkpoint_that_was_cut_off_is_left(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    partial = make_checkpoint_path(folder.scratch, 3)
    partial.mkdir(parents=True)
    folder.clear_scratch()
    folder.clear_scratch()
    assert list(tmp_path.iterdir()) == []
