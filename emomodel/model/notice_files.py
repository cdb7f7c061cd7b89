"""copy_notice_files: the licence and notice files of a base model, which have to be passed on with a derivative."""

import errno
import json
import re
import shutil
from pathlib import Path

from emomodel.errors import get_first_line

_NOTICE_FILE = re.compile(r"NOTICE.*|LICENSE.*|LICENCE.*|.*TERMS.*|.*POLICY.*", re.IGNORECASE)
_CONFIG_FILE = "config.json"
# The same for the hub's client, whose patterns are case-sensitive.
_PATTERNS = ["NOTICE*", "LICENSE*", "LICENCE*", "*TERMS*", "*POLICY*", "*terms*", "*policy*", _CONFIG_FILE]

GEMMA_NOTICE_FILE = "NOTICE-Gemma.txt"
# The model_type of Gemma 1, 2, 3 and 3n. Gemma 4 is published under the Apache License 2.0.
_GEMMA_TERMS_KINDS = {"gemma", "gemma2", "gemma3", "gemma3_text", "gemma3n", "gemma3n_text"}
_GEMMA_NOTICE = """\
The base model has the architecture of Gemma 1, 2, 3 or 3n ({kind}), and no licence or notice file came with it. Google
publishes its models of this architecture with this notice:

Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms

Section 3.2 of those terms restricts the use of Gemma and of everything derived from it, such as an adapter. If the base
model was published by others under terms of their own, those apply too.
"""


def copy_notice_files(name_or_path: str, target: Path) -> list[str]:
    """Copy the licence, notice and terms files beside the base model's weights to the folder `target`.

    A Gemma 1, 2, 3 or 3n that came without any gets the notice that the Gemma Terms of Use ask for. Returns the names
    of the files, sorted. Raises ConnectionError when they have to come from the model hub and can't, OSError when a
    file can't be copied.
    """
    folder = Path(name_or_path)
    if not folder.is_dir():
        folder = _fetch_notice_files(name_or_path)
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and _NOTICE_FILE.fullmatch(path.name))
    for name in names:
        # Folders of the hub's cache consist of links; this copies the content.
        shutil.copyfile(folder / name, target / name)
    kind = _find_kind(folder)
    if not names and kind in _GEMMA_TERMS_KINDS:
        (target / GEMMA_NOTICE_FILE).write_text(_GEMMA_NOTICE.format(kind=kind), encoding="utf-8")
        names = [GEMMA_NOTICE_FILE]
    return names


def _find_kind(folder: Path) -> str | None:
    """The model_type in the model's config.json; None for a folder that holds no model, such as an adapter's."""
    try:
        config = json.loads((folder / _CONFIG_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return config.get("model_type") if isinstance(config, dict) else None


def _fetch_notice_files(hub_id: str) -> Path:
    """Download the files. Raises ConnectionError for every failure of the hub's client but a full disk."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=_PATTERNS))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise ConnectionError(get_first_line(error)) from error
