"""The host: which boot of the worker's machine this is."""

from pathlib import Path

import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def get_boot_id(path: Path = BOOT_ID) -> str:
    """Return the kernel's id of this boot, which containers share with their host; elsewhere the time of the boot.

    A process of an earlier boot has ended, even if its pid is in use again.
    """
    try:
        found = path.read_text().strip()
    except OSError:
        found = ""
    return found or str(int(psutil.boot_time()))
