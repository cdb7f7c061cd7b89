"""The keys under which files are stored, made from checked ids and file names."""

import re

ID_FORM = re.compile(r"[a-z]+_[0-9a-z]{26}")
FILENAME_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def make_dataset_key(dataset_id: str) -> str:
    """Raises ValueError for what is no id."""
    return f"datasets/{check_id(dataset_id)}.jsonl"


def make_artifact_key(job_id: str, filename: str) -> str:
    """Raises ValueError for what is no id, or no name of a file."""
    if not FILENAME_FORM.fullmatch(filename):
        raise ValueError(f"{filename!r} is no artifact's file name")
    return f"artifacts/{check_id(job_id)}/{filename}"


def make_upload_prefix(upload_id: str) -> str:
    """Of the keys of its parts. Raises ValueError for what is no id."""
    return f"uploads/{check_id(upload_id)}/"


def check_id(row_id: str) -> str:
    """The id unchanged. Raises ValueError for text that is not the id of a row."""
    if not ID_FORM.fullmatch(row_id):
        raise ValueError(f"{row_id!r} is no row's id")
    return row_id
