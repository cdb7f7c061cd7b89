"""Drain: the main process of a worker requests that its runs end soon."""

import mmap
import os
import threading
import time

PARENT_POLL_SECONDS = 1.0


class Drain:
    """A flag that the main process sets in a signal handler and the pool's process polls.

    It is one byte of shared memory: made before the pool forks, and written without a lock, as a signal handler must
    not take one.
    """

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def request(self) -> None:
        self._byte[0] = 1

    @property
    def is_requested(self) -> bool:
        return self._byte[0] == 1


def leave_with_parent() -> None:
    """End this process soon after its parent's death.

    For Celery's beat process, which would otherwise run on alone for ever; the kernel ends the pool's process.
    """
    parent_pid = os.getppid()

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(PARENT_POLL_SECONDS)
        os._exit(0)

    threading.Thread(target=watch, name="leave-with-parent", daemon=True).start()
