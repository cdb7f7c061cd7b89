"""copy_notice_files: the licence and notice files of a base model, which have to be passed on with a derivative."""

import errno
import re
import shutil
from pathlib import Path

from emomodel.model.loading import get_first_line

_NOTICE_FILE = re.compile(r"NOTICE.*|LICENSE.*|LICENCE.*|.*TERMS.*|.*POLICY.*", re.IGNORECASE)
# The same for the hub's client, whose patterns are case-sensitive.
_NOTICE_PATTERNS = ["NOTICE*", "LICENSE*", "LICENCE*", "*TERMS*", "*POLICY*", "*terms*", "*policy*"]


def copy_notice_files(name_or_path: str, target: Path) -> list[str]:
    """Copy the licence, notice and terms files beside the base model's weights to the folder `target`.

    Returns their names, sorted. Raises ConnectionError when they have to come from the model hub and can't, OSError
    when a file can't be copied.
    """
    folder = Path(name_or_path)
    if not folder.is_dir():
        folder = _fetch_notice_files(name_or_path)
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and _NOTICE_FILE.fullmatch(path.name))
    for name in names:
        # Folders of the hub's cache consist of links; this copies the content.
        shutil.copyfile(folder / name, target / name)
    return names


def _fetch_notice_files(hub_id: str) -> Path:
    """Download the files. Raises ConnectionError for every failure of the hub's client but a full disk."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=_NOTICE_PATTERNS))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise ConnectionError(get_first_line(error)) from error
