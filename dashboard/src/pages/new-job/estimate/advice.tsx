// Explains why a job fits no slot, and what would help: as a button if the API describes the change in a form that
// programs can read.

import type { Config } from "../../../lib/config-fields";
import { Notice } from "../../../ui/feedback";
import { formatValue } from "../config/config-values";
import "./advice.css";

export function Advice({
  message,
  changes,
  isOff,
  onApply,
}: {
  message: string;
  changes: Config[] | undefined;
  isOff: boolean;
  onApply: (changes: Config) => void;
}) {
  return (
    <Notice kind="warning">
      <div class="new-job-advice">
        <strong>This fits no slot</strong>
        <p>{message}</p>
        {changes?.map((change) => (
          <button key={describe(change)} type="button" class="small" disabled={isOff} onClick={() => onApply(change)}>
            Apply {describe(change)}
          </button>
        ))}
      </div>
    </Notice>
  );
}

function describe(change: Config): string {
  return Object.entries(change)
    .map(([name, value]) => `${name}: ${formatValue(value)}`)
    .join(", ");
}
