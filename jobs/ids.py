"""Row ids: a prefix for the kind of row and a ULID, so that ids sort by age."""

from ulid import ULID


def new_id(prefix: str) -> str:
    """A new id such as ``job_01k9v3m8r5...``: 26 characters after the prefix, sortable by the time of creation."""
    return f"{prefix}_{str(ULID()).lower()}"
