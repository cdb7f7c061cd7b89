"""The formats of datasets: JSON Lines, a JSON array, CSV and Parquet, each plain or compressed by gzip or zstd.

`records.open_records` reads their examples as JSON Lines records; `exporting` writes them.
"""

from emomodel.data.formats.records import Record, open_records, read_records
from emomodel.data.formats.source import Limits, SourceTooLarge

__all__ = ["Limits", "Record", "SourceTooLarge", "open_records", "read_records"]
