"""Makes the report on a dataset file on this machine, without a service."""

import sys
from pathlib import Path

from cli.errors import CliError
from emomodel.data.dataset_report import DatasetReport
from emomodel.data.validation import DatasetValidator
from emomodel.emotions import DEFAULT_AXES, Axes
from jobs.settings import MIB

# The size of the pieces that an upload passes to the validator.
PIECE_BYTES = MIB


def read_axes(text: str) -> Axes:
    """Return the axes that a user named, or else the eight default ones. Raises CliError."""
    try:
        return Axes(tuple(name.strip() for name in text.split(","))) if text else DEFAULT_AXES
    except ValueError as error:
        raise CliError(f"the axes can't be used: {error}") from None


def check_file(path: Path, axes: Axes) -> DatasetReport:
    """Return the report on a file in any format of an upload, in bounded memory."""
    from emomodel.data.formats.kinds import SNIFFED_BYTES, is_plain_json_lines
    from emomodel.data.formats.rows import CHAT_COLUMNS

    validator = DatasetValidator(axes)
    with path.open("rb") as stream:
        piece = stream.read(PIECE_BYTES)
        if not is_plain_json_lines(piece[:SNIFFED_BYTES], CHAT_COLUMNS):
            return _check_records(path, axes)
        while piece:
            validator.feed(piece)
            piece = stream.read(PIECE_BYTES)
    return validator.finish()


def _check_records(path: Path, axes: Axes) -> DatasetReport:
    """Return the report on a file that has to be converted to records first."""
    from emomodel.data.formats.checking import check_records
    from emomodel.data.formats.records import make_row_reader, read_records
    from emomodel.data.formats.source import Limits

    records = read_records(path, make_row_reader(None, axes), Limits(max_bytes=sys.maxsize))
    return check_records(records, DatasetValidator(axes), _forget, max_bytes=sys.maxsize)


def _forget(record: bytes) -> None:
    """Drop a record, as records are checked and not kept."""
