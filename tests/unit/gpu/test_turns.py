"""Turns on one GPU: tests share it, and one that wants it alone gets it, although others keep coming."""

import fcntl
import threading
from pathlib import Path

from tests.gpu.turns import DOOR_FILE, having_the_gpu
from tests.support.waiting import wait_for


def is_door_closed(folder: Path) -> bool:
    with (folder / DOOR_FILE).open("w") as door:
        try:
            fcntl.flock(door, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class Turn(threading.Thread):
    """Takes a turn, and keeps it until it may end."""

    def __init__(self, folder: Path, *, alone: bool) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self._alone = alone
        self.has_begun = threading.Event()
        self.may_end = threading.Event()
        self.start()

    def run(self) -> None:
        with having_the_gpu(self._folder, alone=self._alone):
            self.has_begun.set()
            self.may_end.wait()


def test_the_gpu_is_shared_until_a_test_wants_it_alone_which_later_ones_do_not_overtake(tmp_path: Path) -> None:
    first, second = (Turn(tmp_path, alone=False) for _ in range(2))
    wait_for(lambda: first.has_begun.is_set() and second.has_begun.is_set())
    alone = Turn(tmp_path, alone=True)
    wait_for(lambda: is_door_closed(tmp_path))
    later = Turn(tmp_path, alone=False)
    first.may_end.set()
    first.join()
    # The second one still has it.
    assert not alone.has_begun.wait(0.1)
    second.may_end.set()
    wait_for(alone.has_begun.is_set)
    assert not later.has_begun.wait(0.1)
    alone.may_end.set()
    wait_for(later.has_begun.is_set)
    later.may_end.set()
