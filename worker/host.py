"""The host: what a worker's machine is called, and which of its boots this is."""

from pathlib import Path

import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def get_boot_id(path: Path = BOOT_ID) -> str:
    """The kernel's id of this boot, which containers share with their host; elsewhere the second of the boot.

    A process of an earlier boot is over, whatever has its number now.
    """
    try:
        found = path.read_text().strip()
    except OSError:
        found = ""
    return found or str(int(psutil.boot_time()))
