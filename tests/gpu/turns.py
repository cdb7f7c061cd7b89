"""Turns on one GPU: most tests share it, and a test that measures its memory has it alone.

Several processes of pytest-xdist, or several runs of the suite, agree by locks on two files, which the system releases
with the process that holds them.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DOOR_FILE = "emotune-gpu-door.lock"
GPU_FILE = "emotune-gpu.lock"


@contextmanager
def having_the_gpu(folder: Path, *, alone: bool) -> Iterator[None]:
    """Wait for the GPU, and keep it during the block. `folder` holds the locks; all tests of a GPU need the same."""
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    with (folder / DOOR_FILE).open("w") as door, (folder / GPU_FILE).open("w") as gpu:
        # A test that needs the GPU alone closes the door first, as otherwise new tests could share the GPU for ever.
        fcntl.flock(door, kind)
        fcntl.flock(gpu, kind)
        if not alone:
            fcntl.flock(door, fcntl.LOCK_UN)
        yield
