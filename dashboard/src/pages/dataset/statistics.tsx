// Shows the numbers of a dataset in a base model's tokens: lengths, cuts, padding, repeats and scripts, and what to do
// about them.

import type { ComponentChildren } from "preact";
import { LineNumbers, WarningList } from "../../datasets/report";
import type { TokenReport } from "../../datasets/report-types";
import { countOf, formatCount, formatNumber, formatShare } from "../../lib/format";
import { ErrorBox, Skeleton } from "../../ui/feedback";
import { Icon } from "../../ui/icons";
import { LengthCard } from "./length-chart";
import type { Computed } from "./use-statistics";

export function StatisticsCards({
  computed,
  hasModel,
  onLine,
}: {
  computed: Computed;
  hasModel: boolean;
  onLine: (line: number) => void;
}) {
  const { data, error, isComputing, retry } = computed;
  if (!hasModel) return null;
  if (error && !data) {
    return (
      <ErrorBox error={error}>
        <button type="button" class="small dataset-retry" onClick={retry}>
          Try again
        </button>
      </ErrorBox>
    );
  }
  if (!data) {
    return (
      <section key="waiting" class={isComputing ? "card" : "card dataset-waiting"} aria-busy="true">
        <h2>Statistics</h2>
        {isComputing ? (
          <div class="card-body progress" role="status">
            <progress aria-label="Computing the statistics" />
            <small>
              The dataset is large, and its tokens are being counted. The numbers appear here when they are ready.
            </small>
          </div>
        ) : (
          <Skeleton lines={7} />
        )}
      </section>
    );
  }
  const report = data.statistics;
  return (
    <>
      <div class="dataset-halves">
        <NumbersCard report={report} onLine={onLine} />
        <LengthCard report={report} />
      </div>
      <section key="known" class="card">
        <h2>Before you train</h2>
        <div class="card-body">
          {report.warnings.length ? (
            <WarningList warnings={report.warnings} linkLine={onLine} />
          ) : (
            <p class="dataset-fine">
              <Icon name="check" /> No problems found.
            </p>
          )}
        </div>
      </section>
    </>
  );
}

function NumbersCard({ report, onLine }: { report: TokenReport; onLine: (line: number) => void }) {
  const { token_count_by_example: tokens, target_count_by_example: targets, real_token_share: real } = report;
  return (
    <section class="card">
      <h2>Statistics</h2>
      <div class="card-body dataset-numbers">
        <Figure name="Tokens" value={formatCount(tokens.total)}>
          {formatCount(report.example_count)} examples, {formatCount(report.turn_count)} messages
        </Figure>
        <Figure name="Learned tokens" value={formatCount(targets.total)}>
          {formatShare(tokens.total ? targets.total / tokens.total : 0)} of all tokens
        </Figure>
        <Figure name="Cut off" value={formatCount(report.truncated.count)}>
          {share(report.truncated.count, report)}
          <LineNumbers lines={report.truncated.lines} count={report.truncated.count} linkLine={onLine} />
        </Figure>
        <Figure name="Left out" value={formatCount(report.dropped.count)} isBad={report.dropped.count > 0}>
          no reply is left within {formatCount(report.max_length)} tokens
          <LineNumbers lines={report.dropped.lines} count={report.dropped.count} linkLine={onLine} />
        </Figure>
        {report.refused.count > 0 && (
          <Figure name="Refused" value={formatCount(report.refused.count)} isBad>
            a job would fail: the chat format can't represent them
            <LineNumbers lines={report.refused.lines} count={report.refused.count} linkLine={onLine} />
          </Figure>
        )}
        <Figure name="Padding, by batching" value={formatShare(1 - real.packed)} unit="packed">
          {formatShare(1 - real.dynamic)} dynamic, {formatShare(1 - real.fixed)} fixed; batches of {real.batch_size}
        </Figure>
        <Figure name="Duplicates" value={formatCount(report.duplicates.count)}>
          {report.near_duplicates.count
            ? `and ${countOf(report.near_duplicates.count, "near duplicate")}`
            : "and no near duplicates"}
          <Pairs report={report} onLine={onLine} />
        </Figure>
        <Figure name="Scripts" value={Object.keys(report.scripts)[0] ?? "none"}>
          {Object.entries(report.scripts)
            .map(([script, part]) => `${script} ${formatShare(part)}`)
            .join(", ")}
        </Figure>
        <Figure name="Emotions" value={formatCount(report.emotions.segment_count)} unit="segments">
          {formatCount(report.emotions.neutral_segment_count)} of them neutral
        </Figure>
        <Figure name="Characters" value={formatCount(report.character_count)}>
          {formatNumber(tokens.total ? report.character_count / tokens.total : 0, 3)} a token
        </Figure>
      </div>
    </section>
  );
}

function share(count: number, report: TokenReport): string {
  return `${formatShare(report.example_count ? count / report.example_count : 0)} of the examples`;
}

const SHOWN_PAIRS = 5;

function Pairs({ report, onLine }: { report: TokenReport; onLine: (line: number) => void }) {
  const pairs = [...report.duplicates.pairs, ...report.near_duplicates.pairs];
  if (pairs.length === 0) return null;
  return (
    <details class="dataset-pairs">
      <summary>Show the lines</summary>
      <ul>
        {pairs.slice(0, 4 * SHOWN_PAIRS).map((pair, index) => (
          <li key={index}>
            line{" "}
            <button type="button" class="datasets-line" onClick={() => onLine(pair.line)}>
              {pair.line}
            </button>{" "}
            is like{" "}
            <button type="button" class="datasets-line" onClick={() => onLine(pair.like_line)}>
              {pair.like_line}
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
}

function Figure({
  name,
  value,
  unit,
  isBad = false,
  children,
}: {
  name: string;
  value: string;
  unit?: string;
  isBad?: boolean;
  children: ComponentChildren;
}) {
  return (
    <div class={`dataset-figure ${isBad ? "bad" : ""}`}>
      <span class="soft">{name}</span>
      <strong class="number">
        {value} {unit && <small>{unit}</small>}
      </strong>
      <div class="soft">{children}</div>
    </div>
  );
}
