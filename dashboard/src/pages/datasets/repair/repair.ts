// Repairs the bad lines of a refused file in the page: it finds the lines, holds the change of each, and makes the
// corrected file.

import { makeHeaders, makeQuery, readError } from "../../../api/client";
import { isOfFile, type Problem, type Report } from "../../../datasets/report-types";
import { findLines, type LineRange, MAX_PATCHED_BYTES, patchLines, readKind, readLine, unpack } from "./patch-lines";

export type Repair = { kind: "out" } | { kind: "edit"; text: string };

export interface BadLine {
  number: number;
  range: LineRange | null;
  text: string;
  isCut: boolean;
  isForeign: boolean;
  problems: Problem[];
}

export interface BadFile {
  /** The decompressed file, with one line of JSON for each example. */
  file: Blob;
  lines: BadLine[];
}

/** Returns why a file can't be repaired in the page; null if it can. */
export async function explainUnrepairable(file: Blob, report: Report): Promise<string | null> {
  const kind = await readKind(file);
  if (kind === "other") {
    return "Only JSON Lines, with one example in each line, can be fixed on this page. Fix this file on your computer and choose it again.";
  }
  if (file.size > MAX_PATCHED_BYTES) {
    return "Files over 200 MiB can't be fixed on this page. Fix this file on your computer and choose it again.";
  }
  if (report.problems.every(isOfFile))
    return "This problem concerns the whole file, so leaving out or changing single lines can't fix it.";
  return null;
}

/**
 * Returns the bad lines with their texts. Throws if the file can't be read, for example because it was changed in the
 * meantime.
 */
export async function openBadFile(file: Blob, report: Report): Promise<BadFile> {
  const plain = (await readKind(file)) === "gzip" ? await unpack(file) : file;
  const byLine = new Map<number, Problem[]>();
  for (const problem of report.problems) {
    if (isOfFile(problem)) continue;
    byLine.set(problem.line, [...(byLine.get(problem.line) ?? []), problem]);
  }
  const ranges = await findLines(plain, byLine.keys());
  const lines = await Promise.all(
    [...byLine].map(async ([number, problems]): Promise<BadLine> => {
      const range = ranges.get(number) ?? null;
      const read = range ? await readLine(plain, range) : { text: "", isCut: false, isForeign: false };
      return { number, range, problems, ...read };
    }),
  );
  return { file: plain, lines };
}

export function applyRepairs({ file, lines }: BadFile, repairs: ReadonlyMap<number, Repair>): Blob {
  const ranges = new Map(lines.flatMap((line) => (line.range ? [[line.number, line.range] as const] : [])));
  const edits = new Map([...repairs].map(([line, repair]) => [line, repair.kind === "out" ? null : repair.text]));
  return patchLines(file, ranges, edits);
}

/** This first line tells the API that the file is JSON Lines, even if the next line looks like something else. */
const FIRST_LINE =
  '{"messages": [{"role": "user", "content": "Are you there?"}, {"role": "assistant", "content": "Yes, I am here."}]}';

async function askReport(file: Blob, axes: string, mapping: string, signal?: AbortSignal): Promise<Report> {
  const init: RequestInit = {
    method: "POST",
    headers: { ...makeHeaders("POST"), "Content-Type": "application/octet-stream" },
    body: file,
  };
  if (signal) init.signal = signal;
  const response = await fetch(`/datasets:validate${makeQuery({ axes: axes.trim(), mapping: mapping.trim() })}`, init);
  if (!response.ok) throw readError(response.status, await response.text());
  return (await response.json()) as Report;
}

/** Returns the remaining problems of one line; an empty list if an upload would accept it. */
export async function checkLine(text: string, axes: string, mapping: string): Promise<Problem[]> {
  const report = await askReport(new Blob([`${FIRST_LINE}\n${text}`]), axes, mapping);
  return report.problems.filter((problem) => problem.line !== 1);
}

/** The maximum number of requests for more bad lines; each answer lists up to a hundred problems. */
const MAX_ROUNDS = 30;

/**
 * Returns the file without any bad line, including those after the listed ones, except for lines that a repair has
 * changed. The rest of the file after the last bad line is checked until nothing is found. Throws an Error if that
 * can't succeed.
 */
export async function leaveAllOut(
  badFile: BadFile,
  report: Report,
  repairs: ReadonlyMap<number, Repair>,
  options: { axes: string; mapping: string; signal: AbortSignal; onCount: (count: number) => void },
): Promise<{ file: Blob; count: number }> {
  const edits = new Map<number, string | null>();
  for (const { number } of badFile.lines) {
    const repair = repairs.get(number);
    edits.set(number, repair?.kind === "edit" ? repair.text : null);
  }
  let found = report;
  let offset = 0;
  for (let round = 0; found.problem_count > found.problems.length; round += 1) {
    if (round === MAX_ROUNDS) {
      throw new Error(`More than ${edits.size} lines are bad. Fix the file on your computer and choose it again.`);
    }
    const last = offset + (found.problems.at(-1)?.line ?? 0);
    const range = (await findLines(badFile.file, [last])).get(last);
    if (!range) break;
    // The rest begins with the line break of the last bad line, whose place the first line takes.
    found = await askReport(
      new Blob([FIRST_LINE, badFile.file.slice(range.end)]),
      options.axes,
      options.mapping,
      options.signal,
    );
    offset = last - 1;
    const ofFile = found.problems.find(isOfFile);
    if (ofFile) throw new Error(`${ofFile.message}. ${ofFile.fix}`);
    for (const { line } of found.problems) if (line > 1) edits.set(offset + line, null);
    options.onCount(edits.size);
  }
  const ranges = await findLines(badFile.file, edits.keys());
  return { file: patchLines(badFile.file, ranges, edits), count: edits.size };
}
