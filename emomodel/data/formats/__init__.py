"""The formats of datasets: JSON Lines, a JSON array, CSV and Parquet, plain or compressed.

`records.open_records` reads their examples as JSON Lines records; `exporting` writes them.
"""
