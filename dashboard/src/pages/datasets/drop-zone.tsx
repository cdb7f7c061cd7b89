// The area for new files, which can be dropped anywhere on the page or chosen.

import { useEffect, useId, useRef, useState } from "preact/hooks";
import { choose } from "../../datasets/uploads";
import { Icon } from "../../ui/icons";
import "./drop-zone.css";

const ACCEPTED = [".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".gz", ".zst"];

export function DropZone() {
  const inputId = useId();
  const isOver = useFileDrop();
  return (
    <>
      <div class={`datasets-drop ${isOver ? "over" : ""}`}>
        <Icon name="upload" />
        <div>
          <label for={inputId} class="button primary">
            Choose files
          </label>
          <input
            id={inputId}
            class="datasets-file"
            type="file"
            multiple
            accept={ACCEPTED.join(",")}
            onChange={(event) => {
              choose(event.currentTarget.files ?? []);
              // The value is cleared so that the same file can be chosen again after a correction.
              event.currentTarget.value = "";
            }}
          />
          <span>or drop them anywhere on this page</span>
        </div>
        <p class="hint">
          JSON Lines, JSON, CSV or Parquet, also compressed with gzip or zstd. Every line is checked before anything is
          stored.
        </p>
      </div>
      {isOver && (
        <div class="datasets-veil" aria-hidden="true">
          <p>
            <Icon name="upload" /> Drop the files to upload them
          </p>
        </div>
      )}
    </>
  );
}

/** Accepts files that are dropped on the window; returns true while files are held over it. */
function useFileDrop(): boolean {
  const [isOver, setOver] = useState(false);
  // The browser reports that a child is entered before it reports that its parent is left, so both are counted.
  const depth = useRef(0);
  useEffect(() => {
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth.current += 1;
      setOver(true);
    };
    const over = (event: DragEvent) => {
      if (hasFiles(event)) event.preventDefault();
    };
    const leave = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      depth.current = Math.max(0, depth.current - 1);
      if (depth.current === 0) setOver(false);
    };
    const drop = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth.current = 0;
      setOver(false);
      choose(event.dataTransfer?.files ?? []);
    };
    window.addEventListener("dragenter", enter);
    window.addEventListener("dragover", over);
    window.addEventListener("dragleave", leave);
    window.addEventListener("drop", drop);
    return () => {
      window.removeEventListener("dragenter", enter);
      window.removeEventListener("dragover", over);
      window.removeEventListener("dragleave", leave);
      window.removeEventListener("drop", drop);
    };
  }, []);
  return isOver;
}
