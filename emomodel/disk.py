"""What is written is on the disk, and stays there after a power cut. [light]"""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until `path` is on the disk: a file's content, or a folder's entries after a rename."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
