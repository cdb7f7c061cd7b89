// Shows the report of an upload: its counts, and what could be improved in the dataset.

import { Fragment } from "preact";
import { countOf, formatCount } from "../lib/format";
import { Icon } from "../ui/icons";
import type { Report } from "./report-types";
import "./report.css";

interface Advice {
  code: string;
  message: string;
  advice: string;
  count: number;
  lines?: readonly number[];
}

export function ReportSummary({ report }: { report: Report }) {
  return (
    <>
      <ReportCounts report={report} />
      <WarningList warnings={report.warnings} />
      <IgnoredKeys keys={report.ignored_keys} />
    </>
  );
}

export function ReportCounts({ report }: { report: Report }) {
  const counts = [
    countOf(report.example_count, "example"),
    countOf(report.turn_count, "message"),
    `${formatCount(report.target_count)} ${report.target_count === 1 ? "reply" : "replies"} to learn from`,
    countOf(report.character_count, "character"),
  ];
  return (
    <ul class="datasets-counts">
      {counts.map((each) => (
        <li key={each}>{each}</li>
      ))}
    </ul>
  );
}

/** `linkLine` turns a line number into a link to the line. */
export function WarningList({
  warnings,
  linkLine,
}: {
  warnings: readonly Advice[];
  linkLine?: ((line: number) => void) | undefined;
}) {
  if (warnings.length === 0) return null;
  return (
    <ul class="datasets-warnings">
      {warnings.map((warning, index) => (
        <li key={`${warning.code}-${index}`}>
          <Icon name="alert" />
          <div>
            <strong>{capitalise(warning.message)}.</strong> <span class="soft">{warning.advice}</span>
            <LineNumbers lines={warning.lines ?? []} count={warning.count} linkLine={linkLine} />
          </div>
        </li>
      ))}
    </ul>
  );
}

export function LineNumbers({
  lines,
  count,
  linkLine,
}: {
  lines: readonly number[];
  count: number;
  linkLine?: ((line: number) => void) | undefined;
}) {
  if (lines.length === 0) return null;
  const rest = count - lines.length;
  return (
    <p class="datasets-lines">
      {lines.length === 1 && rest <= 0 ? "Line" : "Lines"}{" "}
      {lines.map((line, index) => (
        <Fragment key={line}>
          {index > 0 && ", "}
          {linkLine ? (
            <button type="button" class="datasets-line" onClick={() => linkLine(line)}>
              {line}
            </button>
          ) : (
            line
          )}
        </Fragment>
      ))}
      {rest > 0 && ` and ${formatCount(rest)} more`}
    </p>
  );
}

export function IgnoredKeys({ keys }: { keys: Readonly<Record<string, number>> }) {
  const entries = Object.entries(keys);
  if (entries.length === 0) return null;
  return (
    <p class="datasets-ignored">
      <span class="soft">Ignored keys, which have no meaning here: </span>
      {entries.map(([key, count], index) => (
        <Fragment key={key}>
          {index > 0 && ", "}
          <code>{key}</code> ({formatCount(count)}×)
        </Fragment>
      ))}
    </p>
  );
}

export function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
