// The name of the job, and how it waits in the queue.

import type { ComponentChildren } from "preact";
import { usePoll } from "../../api/poll";
import type { Team } from "../../api/types";
import { fieldId } from "./config/config-field";
import { Described } from "./described";
import { useForm } from "./form-context";
import { TIME_UNITS, type TimeUnit } from "./job-form";

const CLASSES = [
  { value: "low", label: "Low: may wait, and be interrupted" },
  { value: "normal", label: "Normal" },
  { value: "urgent", label: "Urgent: goes before all others" },
];

export function QueueSection({ datasetName }: { datasetName: string | undefined }) {
  const { form, change } = useForm();
  const { data: team } = usePoll<Team>("/team", 0);
  const highest = CLASSES.findIndex((each) => each.value === (team?.max_priority_class ?? "normal"));
  return (
    <section class="card">
      <h2>Name and queue</h2>
      <div class="card-body new-job-grid">
        <Row name="name" label="Name" hint="A name for people. Empty: the dataset's name." isWide>
          {(attributes) => (
            <input
              {...attributes}
              type="text"
              maxLength={200}
              autocomplete="off"
              placeholder={datasetName ?? "as the dataset"}
              value={form.name}
              onInput={(event) => change({ name: event.currentTarget.value })}
            />
          )}
        </Row>
        <Row
          name="priority_class"
          label="Class"
          hint={
            highest < CLASSES.length - 1
              ? "The order among all teams. Urgent needs the operator's permission for your team."
              : "The order among all teams. Urgent may take the slot of a running job."
          }
        >
          {(attributes) => (
            <select
              {...attributes}
              value={form.priorityClass}
              onChange={(event) => change({ priorityClass: event.currentTarget.value })}
            >
              {CLASSES.map((each, index) => (
                <option key={each.value} value={each.value} disabled={index > highest}>
                  {each.label}
                </option>
              ))}
            </select>
          )}
        </Row>
        <Row
          name="priority"
          label="Priority"
          hint="The order among your team's own jobs: -100 to 100, higher goes first. Default: 0."
        >
          {(attributes) => (
            <input
              {...attributes}
              type="text"
              inputMode="numeric"
              autocomplete="off"
              class="number"
              placeholder="0"
              value={form.priority}
              onInput={(event) => change({ priority: event.currentTarget.value })}
            />
          )}
        </Row>
        <Row
          name="timeout_seconds"
          label="Time limit"
          hint="The job fails when all its runs together have taken this long. Empty: no limit."
        >
          {(attributes) => (
            <>
              <input
                {...attributes}
                type="text"
                inputMode="decimal"
                autocomplete="off"
                class="number"
                placeholder="none"
                value={form.timeout}
                onInput={(event) => change({ timeout: event.currentTarget.value })}
              />
              <select
                aria-label="Unit of the time limit"
                value={form.timeoutUnit}
                onChange={(event) => change({ timeoutUnit: event.currentTarget.value as TimeUnit })}
              >
                {Object.keys(TIME_UNITS).map((unit) => (
                  <option key={unit}>{unit}</option>
                ))}
              </select>
            </>
          )}
        </Row>
      </div>
    </section>
  );
}

interface Attributes {
  id: string;
  "aria-describedby": string;
  "aria-invalid": "true" | undefined;
}

function Row({
  name,
  label,
  hint,
  isWide,
  children,
}: {
  name: string;
  label: string;
  hint: string;
  isWide?: boolean;
  children: (attributes: Attributes) => ComponentChildren;
}) {
  const { getProblem } = useForm();
  const problem = getProblem(name, true);
  const id = fieldId(name);
  return (
    <div class={`new-job-field${isWide ? " is-wide" : ""}`}>
      <div class="new-job-field-head">
        <label for={id} class="field-name">
          {label}
        </label>
        <code class="soft">{name}</code>
      </div>
      <div class="new-job-control">
        {children({
          id,
          "aria-describedby": `${id}-hint ${id}-problem`,
          "aria-invalid": problem ? "true" : undefined,
        })}
      </div>
      <p id={`${id}-problem`} class="problem">
        <Described text={problem} />
      </p>
      <p id={`${id}-hint`} class="hint">
        {hint}
      </p>
    </div>
  );
}
