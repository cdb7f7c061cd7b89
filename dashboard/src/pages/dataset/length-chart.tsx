// Shows how long the examples are, with one bar for each range of lengths.

import { useState } from "preact/hooks";
import type { Distribution, TokenReport } from "../../datasets/report-types";
import { countOf, formatCount, formatNumber } from "../../lib/format";
import { Choices } from "../../ui/choices";
import { makeBars } from "./histogram";

type Kind = "whole" | "learned";
const KINDS: [Kind, string][] = [
  ["whole", "Whole examples"],
  ["learned", "Learned tokens"],
];

export function LengthCard({ report }: { report: TokenReport }) {
  const [kind, setKind] = useState<Kind>("whole");
  const distribution = kind === "whole" ? report.token_count_by_example : report.target_count_by_example;
  return (
    <section class="card dataset-lengths">
      <div class="card-head">
        <h2>Lengths in tokens</h2>
        <Choices label="Lengths of" options={KINDS} value={kind} onChange={setKind} />
      </div>
      <div class="card-body">
        <ul class="datasets-counts">
          <li>mean {formatNumber(distribution.mean, 3)}</li>
          <li>half have up to {formatCount(distribution.p50)}</li>
          <li>95 % up to {formatCount(distribution.p95)}</li>
          <li>longest {formatCount(distribution.max)}</li>
        </ul>
        <Bars distribution={distribution} limit={kind === "whole" ? report.max_length : null} />
      </div>
    </section>
  );
}

function Bars({ distribution, limit }: { distribution: Distribution; limit: number | null }) {
  const bars = makeBars(distribution.histogram, limit);
  const isCut = limit !== null && distribution.max > limit;
  return (
    <figure class="dataset-bars">
      <ol aria-label="Examples by their length">
        {bars.map((bar) => {
          const text = `${bar.label} tokens: ${countOf(bar.count, "example")}`;
          return (
            <li key={bar.label} title={text}>
              <span class="hidden-text">{text}</span>
              <span class="shaft" aria-hidden="true">
                <span class="count">{bar.count > 0 ? formatCount(bar.count) : ""}</span>
                <span
                  class={`column ${bar.overShare > 0 ? (bar.overShare < 1 ? "partly" : "over") : ""}`}
                  style={{ height: `${bar.height * 100}%` }}
                />
              </span>
              <span class="label" aria-hidden="true">
                {bar.label}
              </span>
            </li>
          );
        })}
      </ol>
      <figcaption class="soft">
        Each bar covers twice the range of the bar before it.{" "}
        {isCut && `Striped bars contain examples over ${formatCount(limit)} tokens, which are cut.`}
      </figcaption>
    </figure>
  );
}
