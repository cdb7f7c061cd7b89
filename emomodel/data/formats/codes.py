"""The codes of problems that prevent a file's examples from being read."""

from emomodel.data.problems import ProblemCode

COMPRESSED_DAMAGED: ProblemCode = "compressed_damaged"
COLUMNS_MISSING: ProblemCode = "columns_missing"
COLUMN_TWICE: ProblemCode = "column_twice"
CSV_ROW_BROKEN: ProblemCode = "csv_row_broken"
PARQUET_UNREADABLE: ProblemCode = "parquet_unreadable"
PARQUET_TOO_LARGE: ProblemCode = "parquet_too_large"
JSON_ARRAY_BROKEN: ProblemCode = "json_array_broken"
LABEL_UNKNOWN: ProblemCode = "label_unknown"

FORMAT_CODES = frozenset(
    {
        COMPRESSED_DAMAGED,
        COLUMNS_MISSING,
        COLUMN_TWICE,
        CSV_ROW_BROKEN,
        PARQUET_UNREADABLE,
        PARQUET_TOO_LARGE,
        JSON_ARRAY_BROKEN,
        LABEL_UNKNOWN,
    }
)
