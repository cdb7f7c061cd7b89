// The examples with the highest loss after the training. Examples with wrong labels and unusual ones are often among
// them.

import { useState } from "preact/hooks";
import { usePoll } from "../../api/poll";
import type { components } from "../../api/schema";
import type { Items } from "../../api/types";
import { formatCount, formatNumber } from "../../lib/format";
import { Link } from "../../router";
import { ErrorBox, Skeleton } from "../../ui/feedback";
import { TableBox } from "../../ui/table-box";
import { readTurns } from "./row-text";
import { Section } from "./section";

type HardRow = components["schemas"]["RowRead"];

const FIRST_COUNT = 10;
const MORE_COUNT = 100;

export function RowsSection({ jobId, datasetId }: { jobId: string; datasetId: string }) {
  const [count, setCount] = useState(FIRST_COUNT);
  const { data, error } = usePoll<Items<HardRow>>(`/jobs/${jobId}/rows?limit=${MORE_COUNT}`, 0);
  return (
    <Section
      id="rows"
      title="Hardest examples"
      tools={
        <Link class="button quiet small" to={`/datasets/${datasetId}`}>
          The dataset
        </Link>
      }
    >
      <p class="soft">
        The loss of each example after the training, the highest first. Examples with wrong labels and unusual ones are
        often among them. If the loss is lower without the emotion, the label may be wrong.
      </p>
      {error && <ErrorBox error={error} />}
      {!data && !error && <Skeleton />}
      {data && (
        <TableBox label="Loss of each example">
          <table class="cards">
            <thead>
              <tr>
                <th scope="col" class="number">
                  Line
                </th>
                <th scope="col">Example</th>
                <th scope="col" class="number">
                  Loss
                </th>
                <th scope="col" class="number">
                  Without emotion
                </th>
                <th scope="col" class="number">
                  Tokens
                </th>
              </tr>
            </thead>
            <tbody>
              {data.items.slice(0, count).map((row) => (
                <Row key={`${row.held_out}-${row.line}`} row={row} />
              ))}
            </tbody>
          </table>
        </TableBox>
      )}
      {data && data.items.length > count && (
        <button type="button" class="quiet small" onClick={() => setCount(MORE_COUNT)}>
          Show {data.items.length} examples
        </button>
      )}
    </Section>
  );
}

function Row({ row }: { row: HardRow }) {
  return (
    <tr>
      <td data-label="Line" class="number">
        {formatCount(row.line)}
        {row.held_out && <small class="soft job-held-out">held out</small>}
      </td>
      <td class="job-row-text">
        {row.text === null ? (
          <span class="soft">The dataset has been deleted.</span>
        ) : (
          readTurns(row.text).map((turn, index) => (
            <p key={index}>
              {turn.role && <b>{turn.role}</b>} {turn.text}
            </p>
          ))
        )}
      </td>
      <td data-label="Loss" class="number">
        {formatNumber(row.loss)}
      </td>
      <td data-label="Without emotion" class={`number ${row.neutral_loss < row.loss ? "job-suspect" : ""}`}>
        {formatNumber(row.neutral_loss)}
      </td>
      <td data-label="Tokens" class="number">
        {formatCount(row.target_count)}
      </td>
    </tr>
  );
}
