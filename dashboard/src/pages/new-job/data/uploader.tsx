// Uploads a file that becomes a dataset within the form: it shows the progress, and the problems if the file is
// refused.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ApiError } from "../../../api/client";
import type { Dataset } from "../../../api/types";
import { sendDataset } from "../../../datasets/send-file";
import { countOf, formatBytes, formatShare } from "../../../lib/format";
import { Link } from "../../../router";
import { Icon } from "../../../ui/icons";
import "./uploader.css";

const SHOWN_PROBLEMS = 5;
const MAX_NAME_LENGTH = 200;

interface Problem {
  line: number;
  message: string;
}

type State =
  | { kind: "idle" }
  | { kind: "sending"; file: File; sentBytes: number; note: string }
  | { kind: "refused"; name: string; message: string; problems: Problem[]; problemCount: number };

/** Wraps the area on which a file can be dropped, next to the button that chooses one. */
export function Uploader({ onDone, children }: { onDone: (dataset: Dataset) => void; children: ComponentChildren }) {
  const [state, setState] = useState<State>({ kind: "idle" });
  const [isOver, setOver] = useState(false);
  const upload = useRef<AbortController | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const hintId = useId();
  // An upload that continued after the reader has left the page would store a dataset that nobody expects.
  useEffect(() => () => upload.current?.abort(), []);

  // Without this, the browser would open a file that is dropped next to its target in place of this page.
  useEffect(() => {
    const keep = (event: DragEvent) => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    };
    window.addEventListener("dragover", keep);
    window.addEventListener("drop", keep);
    return () => {
      window.removeEventListener("dragover", keep);
      window.removeEventListener("drop", keep);
    };
  }, []);

  async function take(file: File): Promise<void> {
    upload.current?.abort();
    const current = new AbortController();
    upload.current = current;
    const show = (sentBytes: number, note = "") => {
      if (upload.current === current) setState({ kind: "sending", file, sentBytes, note });
    };
    show(0);
    try {
      const dataset = await sendDataset(file, {
        name: file.name.slice(0, MAX_NAME_LENGTH),
        axes: null,
        mapping: null,
        signal: current.signal,
        onProgress: show,
        onChecking: () => show(file.size, "sent, being checked …"),
        onWaiting: (error) => show(0, error ? "connection lost; the upload resumes automatically …" : ""),
      });
      if (upload.current !== current) return;
      setState({ kind: "idle" });
      onDone(dataset);
    } catch (caught) {
      if (upload.current !== current) return;
      setState(caught instanceof DOMException ? { kind: "idle" } : describeRefusal(file.name, caught));
    }
  }

  return (
    <section
      class={`new-job-drop${isOver ? " is-over" : ""}`}
      aria-label="Dataset"
      onDragOver={(event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        const file = event.dataTransfer?.files[0];
        if (file) void take(file);
      }}
    >
      {children}
      {state.kind === "sending" ? (
        <Sending state={state} onCancel={() => upload.current?.abort()} />
      ) : (
        <div class="new-job-upload row">
          <button type="button" class="small" aria-describedby={hintId} onClick={() => input.current?.click()}>
            <Icon name="upload" /> Upload a file
          </button>
          <span id={hintId} class="hint">
            or drop it here: JSON Lines, JSON, CSV or Parquet
          </span>
          <input
            ref={input}
            type="file"
            hidden
            aria-label="Dataset file"
            onChange={(event) => {
              const file = event.currentTarget.files?.[0];
              event.currentTarget.value = "";
              if (file) void take(file);
            }}
          />
        </div>
      )}
      <div role="status">{state.kind === "refused" && <Refused state={state} />}</div>
    </section>
  );
}

function Sending({ state, onCancel }: { state: Extract<State, { kind: "sending" }>; onCancel: () => void }) {
  const share = state.file.size ? state.sentBytes / state.file.size : 1;
  return (
    <div class="new-job-upload row">
      <div class="progress new-job-sending">
        <progress max={1} value={share} aria-label={`Upload of ${state.file.name}`} />
        <small>
          {state.file.name} · {formatBytes(state.file.size)} · {state.note || formatShare(share)}
        </small>
      </div>
      <button type="button" class="small" onClick={onCancel}>
        Cancel
      </button>
    </div>
  );
}

function Refused({ state }: { state: Extract<State, { kind: "refused" }> }) {
  const more = state.problemCount - state.problems.length;
  return (
    <div class="notice failed">
      <Icon name="alert" />
      <div class="new-job-refused">
        <strong>{state.name} was not stored</strong>
        <p>{state.message}</p>
        {state.problems.length > 0 && (
          <>
            <ul>
              {state.problems.map((problem) => (
                <li key={`${problem.line} ${problem.message}`}>
                  <span class="mono">Line {problem.line}</span> {problem.message}
                </li>
              ))}
              {more > 0 && <li>and {countOf(more, "more problem")}</li>}
            </ul>
            <p>
              <Link to="/datasets">The datasets page</Link> shows each line and lets you fix it.
            </p>
          </>
        )}
      </div>
    </div>
  );
}

function describeRefusal(name: string, caught: unknown): State {
  if (!(caught instanceof ApiError)) {
    return { kind: "refused", name, message: String(caught), problems: [], problemCount: 0 };
  }
  const report = caught.report as { problems?: Problem[]; problem_count?: number } | null;
  const problems = (report?.problems ?? []).slice(0, SHOWN_PROBLEMS);
  return {
    kind: "refused",
    name,
    message: caught.message,
    problems,
    problemCount: report?.problem_count ?? problems.length,
  };
}
