"""The formats of datasets: JSON Lines, a JSON array, CSV and Parquet, each plain or compressed by gzip or zstd.

`records.open_records` reads their examples as JSON Lines records; `exporting` writes them.
"""
