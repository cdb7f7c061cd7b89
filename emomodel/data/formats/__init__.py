"""Datasets in the formats that people have: JSON Lines, a JSON array, CSV, Parquet, each plain, gzip or zstd.

`records.open_records` makes one JSON Lines record of each of their examples; `exporting` goes the other way.
"""

from emomodel.data.formats.records import Record, open_records, read_records
from emomodel.data.formats.source import Limits, SourceTooLarge

__all__ = ["Limits", "Record", "SourceTooLarge", "open_records", "read_records"]
