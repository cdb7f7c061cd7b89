// Short names for the API's types that describe the content of a dataset.

import { ApiError } from "../api/client";
import type { components } from "../api/schema";

export type Report = components["schemas"]["DatasetReport"];
export type Problem = components["schemas"]["Problem"];
export type TokenReport = components["schemas"]["TokenReport"];
export type Distribution = components["schemas"]["Distribution"];
export type PreviewToken = components["schemas"]["PreviewToken"];
export type Upload = components["schemas"]["UploadRead"];

/** Returns the report of a refused upload. */
export function findReport(error: unknown): Report | null {
  return error instanceof ApiError ? (error.report as Report | null) : null;
}

/** Returns whether a problem concerns the whole file, so that leaving out or changing a line can't fix it. */
const FILE_CODES = new Set([
  "file_empty",
  "format_not_jsonl",
  "compressed_damaged",
  "columns_missing",
  "column_twice",
  "csv_row_broken",
  "parquet_unreadable",
  "parquet_too_large",
  "json_array_broken",
  "lines_too_many",
]);

export function isOfFile(problem: Problem): boolean {
  return FILE_CODES.has(problem.code);
}
