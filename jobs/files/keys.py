"""The keys under which files are stored, made from checked ids and file names."""

import re

ID_FORM = re.compile(r"[a-z]+_[0-9a-z]{26}")
FILENAME_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def make_dataset_key(dataset_id: str) -> str:
    """The key of a dataset. Raises ValueError for an invalid id."""
    return f"datasets/{check_id(dataset_id)}.jsonl"


def make_artifact_key(job_id: str, filename: str) -> str:
    """The key of an artifact. Raises ValueError for an invalid id or file name."""
    if not FILENAME_FORM.fullmatch(filename):
        raise ValueError(f"{filename!r} is not a valid file name of an artifact")
    return f"artifacts/{check_id(job_id)}/{filename}"


def make_upload_prefix(upload_id: str) -> str:
    """The prefix of the keys of an upload's parts. Raises ValueError for an invalid id."""
    return f"uploads/{check_id(upload_id)}/"


def check_id(row_id: str) -> str:
    """The id unchanged. Raises ValueError for text that is not the id of a row."""
    if not ID_FORM.fullmatch(row_id):
        raise ValueError(f"{row_id!r} is not the id of a row")
    return row_id
