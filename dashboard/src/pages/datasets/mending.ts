// Mends the bad lines of a refused file in the page: which lines they are, what each shall be, and the file that comes of it.

import { makeHeaders, makeQuery, readError } from "../../api/client";
import {
  findLines,
  type LineRange,
  MAX_PATCHED_BYTES,
  patchLines,
  readLine,
  tellKind,
  unpack,
} from "../../lib/patch-lines";
import { isOfFile, type Problem, type Report } from "./report-types";

export type Repair = { kind: "out" } | { kind: "edit"; text: string };

export interface BadLine {
  number: number;
  range: LineRange | null;
  text: string;
  isCut: boolean;
  isForeign: boolean;
  problems: Problem[];
}

export interface Patient {
  /** With one line of JSON after the other, unpacked. */
  file: Blob;
  lines: BadLine[];
}

/** Why a file can't be mended in the page; null: it can. */
export async function explainUnmendable(file: Blob, report: Report): Promise<string | null> {
  const kind = await tellKind(file);
  if (kind === "other") {
    return "Only JSON Lines can be mended on this page, one example a line. Mend this file where it comes from, and choose it again.";
  }
  if (file.size > MAX_PATCHED_BYTES) {
    return "Files over 200 MiB can't be mended on this page. Mend this one where it comes from, and choose it again.";
  }
  if (report.problems.every(isOfFile))
    return "This concerns the file as a whole, so that no single line can be left out or changed to mend it.";
  return null;
}

/** The bad lines with their texts. Throws what reading the file throws, as when it was changed meanwhile. */
export async function openPatient(file: Blob, report: Report): Promise<Patient> {
  const plain = (await tellKind(file)) === "gzip" ? await unpack(file) : file;
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

export function applyRepairs({ file, lines }: Patient, repairs: ReadonlyMap<number, Repair>): Blob {
  const ranges = new Map(lines.flatMap((line) => (line.range ? [[line.number, line.range] as const] : [])));
  const edits = new Map([...repairs].map(([line, repair]) => [line, repair.kind === "out" ? null : repair.text]));
  return patchLines(file, ranges, edits);
}

/** What is still wrong with one line; nothing: an upload takes it. */
export async function checkLine(text: string, axes: string, mapping: string): Promise<Problem[]> {
  const response = await fetch(`/datasets:validate${makeQuery({ axes: axes.trim(), mapping: mapping.trim() })}`, {
    method: "POST",
    headers: { ...makeHeaders("POST"), "Content-Type": "application/octet-stream" },
    body: text,
  });
  if (!response.ok) throw readError(response.status, await response.text());
  return ((await response.json()) as Report).problems;
}
