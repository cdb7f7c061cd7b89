// The tools that apply to all bad lines at once, and the number of lines that are still to be fixed.

import { useState } from "preact/hooks";
import { ApiError } from "../../../api/client";
import type { Report } from "../../../datasets/report-types";
import { type Sending, startCorrected } from "../../../datasets/uploads";
import { countOf, formatCount } from "../../../lib/format";
import { type BadFile, leaveAllOut, type Repair } from "./repair";
import "./repair-tools.css";

interface Props {
  sending: Sending;
  report: Report;
  badFile: BadFile;
  repairs: ReadonlyMap<number, Repair>;
  setRepairs: (repairs: ReadonlyMap<number, Repair>) => void;
  openCount: number;
  send: () => void;
}

export function RepairTools({ sending, report, badFile, repairs, setRepairs, openCount, send }: Props) {
  const [sweep, setSweep] = useState<{ abort: AbortController; count: number } | null>(null);
  const [error, setError] = useState("");
  const isMore = report.problem_count > report.problems.length;

  /** Leaves out all bad lines, including those after the listed ones: the file is checked until no bad line is left. */
  async function leaveEveryOut(): Promise<void> {
    const abort = new AbortController();
    setError("");
    setSweep({ abort, count: badFile.lines.length });
    try {
      const { file, count } = await leaveAllOut(badFile, report, repairs, {
        axes: sending.axes,
        mapping: sending.mapping,
        signal: abort.signal,
        onCount: (found) => setSweep({ abort, count: found }),
      });
      startCorrected(sending.id, file, sending.repairedCount + count);
    } catch (caught) {
      if (!abort.signal.aborted)
        setError(caught instanceof ApiError || caught instanceof Error ? caught.message : String(caught));
    } finally {
      setSweep(null);
    }
  }

  const rest = badFile.lines.filter((line) => !repairs.has(line.number));
  return (
    <div class="datasets-tools">
      <div class="row">
        <button
          type="button"
          disabled={openCount === 0 || sweep !== null}
          onClick={() =>
            setRepairs(new Map([...repairs, ...rest.map((line) => [line.number, { kind: "out" }] as const)]))
          }
        >
          Leave all {isMore ? "listed " : ""}bad lines out
        </button>
        {repairs.size > 0 && (
          <button type="button" class="quiet" disabled={sweep !== null} onClick={() => setRepairs(new Map())}>
            Undo all
          </button>
        )}
        {isMore && !sweep && (
          <button type="button" onClick={() => void leaveEveryOut()}>
            Leave every bad line out and upload
          </button>
        )}
        {sweep && (
          <button type="button" onClick={() => sweep.abort.abort()}>
            Stop the search
          </button>
        )}
        <button type="button" class="primary" disabled={openCount > 0 || sweep !== null} onClick={send}>
          Upload the corrected file
        </button>
      </div>
      <p class="soft" role="status">
        {sweep
          ? `Looking for more bad lines: ${formatCount(sweep.count)} found …`
          : openCount
            ? `${formatCount(badFile.lines.length - openCount)} of ${countOf(badFile.lines.length, "bad line")} fixed. Leave the others out, or edit them.`
            : `All ${formatCount(badFile.lines.length)} fixed. The file on your disk stays unchanged.`}
      </p>
      <p class="problem" role="alert">
        {error}
      </p>
    </div>
  );
}
