// The API's own types of what is in a dataset, under short names.

import { ApiError } from "../../api/client";
import type { components } from "../../api/schema";

export type Report = components["schemas"]["DatasetReport"];
export type Problem = components["schemas"]["Problem"];
export type TokenReport = components["schemas"]["TokenReport"];
export type Distribution = components["schemas"]["Distribution"];
export type PreviewToken = components["schemas"]["PreviewToken"];
export type Upload = components["schemas"]["UploadRead"];

/** The report of a refused upload. */
export function findReport(error: unknown): Report | null {
  return error instanceof ApiError ? (error.report as Report | null) : null;
}

/** Of a file as a whole: no line of it can be left out or changed to mend them. */
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
