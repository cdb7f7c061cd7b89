// Shows one bad line: its problems, its text with the problems marked, and the ways to fix it.

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { asError } from "../../../api/client";
import type { Problem } from "../../../datasets/report-types";
import { findPlace, type Place } from "./json-place";
import { joinLines } from "./patch-lines";
import { type BadLine, checkLine, type Repair } from "./repair";
import "./bad-line.css";

/** The number of characters of a long line that are shown on each side of its first problem. */
const CONTEXT = 160;

export function BadLineCard({
  line,
  repair,
  onRepair,
  axes,
  mapping,
}: {
  line: BadLine;
  repair: Repair | null;
  onRepair: (repair: Repair | null) => void;
  axes: string;
  mapping: string;
}) {
  const [isEditing, setEditing] = useState(false);
  return (
    <li class={`datasets-bad ${repair ? "repaired" : ""} ${repair?.kind === "out" ? "out" : ""}`}>
      <header class="row">
        <h3>Line {line.number}</h3>
        {repair && <span class="badge good">{repair.kind === "out" ? "left out" : "edited"}</span>}
        <div class="row datasets-bad-actions">
          {repair ? (
            <button type="button" class="small" onClick={() => onRepair(null)}>
              Undo
            </button>
          ) : (
            <button type="button" class="small" onClick={() => onRepair({ kind: "out" })}>
              Leave this line out
            </button>
          )}
          {line.range && !line.isCut && !isEditing && (
            <button
              type="button"
              class="small"
              aria-label={`Edit line ${line.number}`}
              onClick={() => setEditing(true)}
            >
              Edit
            </button>
          )}
        </div>
      </header>
      <ProblemItems problems={line.problems} />
      {isEditing ? (
        <LineEditor
          line={line}
          text={repair?.kind === "edit" ? repair.text : line.text}
          axes={axes}
          mapping={mapping}
          onKeep={(text) => {
            onRepair(text === "" ? { kind: "out" } : { kind: "edit", text });
            setEditing(false);
          }}
          onClose={() => setEditing(false)}
        />
      ) : repair?.kind === "edit" ? (
        <pre class="datasets-text">{repair.text}</pre>
      ) : (
        <LineText line={line} />
      )}
    </li>
  );
}

function ProblemItems({ problems }: { problems: Problem[] }) {
  return (
    <ul class="datasets-problems">
      {problems.map((problem, index) => (
        <li key={index}>
          <strong>{problem.message}</strong>
          {(problem.field !== null || problem.column !== null) && (
            <span class="soft">
              {" "}
              in {problem.field !== null ? <code>{problem.field}</code> : "the line"}
              {problem.column !== null && `, column ${problem.column}`}
            </span>
          )}
          <br />
          <span class="soft">{problem.fix}</span>
        </li>
      ))}
    </ul>
  );
}

function LineText({ line }: { line: BadLine }) {
  const [isWhole, setWhole] = useState(false);
  const places = line.problems
    .flatMap((problem) => findPlace(line.text, problem.field, problem.column) ?? [])
    .sort((a, b) => a.start - b.start);
  const from = isWhole ? 0 : Math.max(0, (places[0]?.start ?? 0) - CONTEXT);
  const to = isWhole ? line.text.length : Math.min(line.text.length, from + 3 * CONTEXT);
  const isShort = from === 0 && to === line.text.length;
  return (
    <>
      <pre class="datasets-text">
        {from > 0 && <span class="soft">… </span>}
        {markText(line.text, places, from, to)}
        {(to < line.text.length || line.isCut) && <span class="soft"> …</span>}
      </pre>
      {(!isShort || isWhole) && !line.isCut && line.text.length > 3 * CONTEXT && (
        <button type="button" class="quiet small" aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? "Show less" : "Show the whole line"}
        </button>
      )}
    </>
  );
}

/** Returns the text between two indexes with its problems marked; if marks overlap, only the first is used. */
function markText(text: string, places: Place[], from: number, to: number): ComponentChildren[] {
  const parts: ComponentChildren[] = [];
  let at = from;
  for (const place of places) {
    const start = Math.max(place.start, at);
    const end = Math.min(Math.max(place.end, start), to);
    if (place.start < at || start > to) continue;
    parts.push(text.slice(at, start));
    // There is nothing to mark where something is missing, so a caret stands there.
    parts.push(<mark key={start}>{text.slice(start, end) || "⁁"}</mark>);
    at = end;
  }
  parts.push(text.slice(at, to));
  return parts;
}

function LineEditor({
  line,
  text,
  axes,
  mapping,
  onKeep,
  onClose,
}: {
  line: BadLine;
  text: string;
  axes: string;
  mapping: string;
  onKeep: (text: string) => void;
  onClose: () => void;
}) {
  const [value, setValue] = useState(text);
  const [problems, setProblems] = useState<Problem[]>([]);
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  const fieldId = useId();

  async function keep(): Promise<void> {
    const joined = joinLines(value);
    if (joined === "") return onKeep("");
    setBusy(true);
    setError("");
    try {
      const found = await checkLine(joined, axes, mapping);
      if (found.length === 0) return onKeep(joined);
      setProblems(found);
    } catch (caught) {
      setError(asError(caught).message);
    } finally {
      setBusy(false);
    }
  }

  return (
    <div class="datasets-editor">
      <label for={fieldId} class="hidden-text">
        Text of line {line.number}
      </label>
      <textarea
        id={fieldId}
        class="mono"
        rows={Math.min(14, Math.max(4, Math.ceil(value.length / 110)))}
        spellcheck={false}
        value={value}
        onInput={(event) => setValue(event.currentTarget.value)}
      />
      {line.isForeign && (
        <p class="hint">The line is not UTF-8. It is read as Windows-1252 and will be saved as UTF-8.</p>
      )}
      {problems.length > 0 && (
        <div class="datasets-still" role="alert">
          <p class="problem">Still wrong:</p>
          <ProblemItems problems={problems} />
        </div>
      )}
      <p class="problem" role="alert">
        {error}
      </p>
      <div class="row">
        <button type="button" class="small primary" disabled={isBusy} onClick={() => void keep()}>
          {isBusy ? "Checking …" : "Check and keep"}
        </button>
        <button type="button" class="small" onClick={onClose}>
          Cancel
        </button>
      </div>
    </div>
  );
}
