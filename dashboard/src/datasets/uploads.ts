// Holds the files that this browser uploads, one after the other. Uploads continue while the reader looks at other
// pages.

import { useEffect, useState } from "preact/hooks";
import { type ApiError, asError } from "../api/client";
import type { Dataset } from "../api/types";
import { findReport, type Report } from "./report-types";
import { checkDataset, sendDataset } from "./send-file";
import { RateMeter, type TransferRate } from "./transfer";

export type UploadPhase = "chosen" | "waiting" | "sending" | "checking" | "stored" | "checked" | "refused" | "failed";

export interface Sending {
  id: number;
  /** The file as it was chosen. */
  fileName: string;
  /** The file that is sent: the chosen one, or its corrected version. */
  file: Blob;
  name: string;
  axes: string;
  mapping: string;
  isCheck: boolean;
  phase: UploadPhase;
  sentBytes: number;
  rate: TransferRate;
  /** Why the upload failed or, while it is sending, why it is waiting for the connection. */
  error: ApiError | null;
  report: Report | null;
  dataset: Dataset | null;
  /** The number of lines that were left out or changed in the page. */
  repairedCount: number;
}

const NO_RATE: TransferRate = { bytesPerSecond: null, secondsLeft: null };
/** The interval of progress updates: short enough to look smooth, long enough to cost nothing. */
const SHOW_MS = 150;

let nextId = 1;
let sendings: Sending[] = [];
let abort: AbortController | null = null;
let activeId: number | null = null;
const listeners = new Set<() => void>();
const storedListeners = new Set<(dataset: Dataset) => void>();

function publish(next: Sending[]): void {
  sendings = next;
  for (const each of listeners) each();
}

function change(id: number, values: Partial<Sending>): void {
  publish(sendings.map((each) => (each.id === id ? { ...each, ...values } : each)));
}

export function useSendings(): Sending[] {
  const [, setVersion] = useState(0);
  useEffect(() => {
    const listener = () => setVersion((version) => version + 1);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return sendings;
}

/** Calls `act` with each dataset that an upload has created. */
export function useStored(act: (dataset: Dataset) => void): void {
  useEffect(() => {
    storedListeners.add(act);
    return () => void storedListeners.delete(act);
  }, [act]);
}

const SUFFIXES = /(\.(jsonl|ndjson|json|csv|tsv|parquet|txt))?(\.(gz|gzip|zst|zstd))?$/i;

export function choose(files: Iterable<File>): void {
  const chosen = [...files].map(
    (file): Sending => ({
      id: nextId++,
      fileName: file.name,
      file,
      name: (file.name.replace(SUFFIXES, "") || file.name).slice(0, 200),
      axes: "",
      mapping: "",
      isCheck: false,
      phase: "chosen",
      sentBytes: 0,
      rate: NO_RATE,
      error: null,
      report: null,
      dataset: null,
      repairedCount: 0,
    }),
  );
  publish([...sendings, ...chosen]);
}

export function edit(id: number, values: Partial<Pick<Sending, "name" | "axes" | "mapping">>): void {
  change(id, values);
}

/** Adds these files to the queue. `file` replaces the earlier one, for example after corrections. */
export function start(ids: readonly number[], { isCheck = false }: { isCheck?: boolean } = {}): void {
  publish(
    sendings.map((each) =>
      ids.includes(each.id)
        ? { ...each, isCheck, phase: "waiting", sentBytes: 0, rate: NO_RATE, error: null, report: null }
        : each,
    ),
  );
  void work();
}

export function startCorrected(id: number, file: Blob, repairedCount: number): void {
  change(id, { file, repairedCount });
  start([id]);
}

/** Stops an upload that is in progress, which can then be started again; removes any other from the list. */
export function cancel(id: number): void {
  if (id === activeId) abort?.abort();
  else publish(sendings.filter((each) => each.id !== id));
}

function isActive(sending: Sending): boolean {
  return sending.phase === "waiting" || sending.phase === "sending" || sending.phase === "checking";
}

function warn(event: BeforeUnloadEvent): void {
  if (sendings.some(isActive)) event.preventDefault();
}

async function work(): Promise<void> {
  if (activeId !== null) return;
  window.addEventListener("beforeunload", warn);
  for (;;) {
    const next = sendings.find((each) => each.phase === "waiting");
    if (!next) break;
    activeId = next.id;
    abort = new AbortController();
    await sendOne(next, abort.signal);
    activeId = null;
  }
  window.removeEventListener("beforeunload", warn);
}

async function sendOne(sending: Sending, signal: AbortSignal): Promise<void> {
  const { id, file } = sending;
  const meter = new RateMeter();
  let shownAt = 0;
  change(id, { phase: "sending" });
  const options = {
    name: sending.name.trim(),
    axes: sending.axes.trim() || null,
    mapping: sending.mapping.trim() || null,
    signal,
    onProgress: (sentBytes: number) => {
      const now = performance.now();
      meter.add(now, sentBytes);
      if (now - shownAt < SHOW_MS && sentBytes < file.size) return;
      shownAt = now;
      change(id, { sentBytes, rate: meter.read(file.size), error: null });
    },
    onChecking: () => change(id, { phase: "checking", sentBytes: file.size }),
    onWaiting: (error: ApiError | null) => change(id, { error }),
  };
  try {
    if (sending.isCheck) {
      const report = await checkDataset(file, options);
      change(id, { phase: report.problem_count ? "refused" : "checked", report });
    } else {
      const dataset = await sendDataset(file, options);
      change(id, { phase: "stored", dataset, report: dataset.report as Report | null });
      for (const act of storedListeners) act(dataset);
    }
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError")
      return change(id, { phase: "chosen", sentBytes: 0, error: null });
    const report = findReport(error);
    const failure = asError(error);
    change(id, report ? { phase: "refused", report, error: failure } : { phase: "failed", error: failure });
  }
}
