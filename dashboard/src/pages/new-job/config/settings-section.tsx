// The hyperparameters: the most important ones at once, the others in folded groups, and a search over all of them.

import { useState } from "preact/hooks";
import { type ConfigField, GROUPS, searchFields, VALIDATION_FIELD } from "../../../lib/config-fields";
import { countOf, formatCount } from "../../../lib/format";
import { Icon } from "../../../ui/icons";
import { useForm } from "../form-context";
import { ConfigFieldRow, fieldId } from "./config-field";
import "./settings-section.css";

export function MainSettings({ changed, onReset }: { changed: string[]; onReset: () => void }) {
  const { fields, values } = useForm();
  const main = fields.filter((field) => field.group === "Main");
  const batch = Number(values.batch_size) * Number(values.gradient_accumulation);
  return (
    <section class="card">
      <div class="card-head">
        <h2>Settings</h2>
        <span class="soft" role="status">
          {changed.length
            ? `${countOf(changed.length, "setting")} changed from the preset`
            : "all values from the preset"}
        </span>
        <button type="button" class="small" disabled={changed.length === 0} onClick={onReset}>
          Reset all
        </button>
      </div>
      <div class="card-body new-job-grid">
        {main.map((field) => (
          <ConfigFieldRow
            key={field.name}
            field={field}
            {...(field.name === "gradient_accumulation" && {
              after: <span class="new-job-batch soft">= {formatCount(batch)} examples per step</span>,
            })}
          />
        ))}
      </div>
    </section>
  );
}

export function MoreSettings({ changed, problems }: { changed: string[]; problems: string[] }) {
  const { fields } = useForm();
  const [search, setSearch] = useState("");
  const [opened, setOpened] = useState<Record<string, boolean>>({});
  const others = fields.filter((field) => field.group !== "Main" && field.name !== VALIDATION_FIELD);
  const isSearching = search.trim() !== "";
  const found = searchFields(others, search);
  const above = isSearching ? searchFields(fields, search).filter((field) => field.group === "Main") : [];
  return (
    <section class="card">
      <div class="card-head">
        <h2>More settings</h2>
        <div class="new-job-search">
          <Icon name="search" />
          <input
            type="search"
            placeholder="Search settings"
            aria-label="Search settings"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        </div>
      </div>
      <div class="new-job-groups">
        {above.length > 0 && (
          <p class="new-job-above row hint">
            Above:
            {above.map((field) => (
              <button
                key={field.name}
                type="button"
                class="quiet small"
                onClick={() => document.getElementById(fieldId(field.name))?.focus()}
              >
                {field.label}
              </button>
            ))}
          </p>
        )}
        {isSearching && found.length === 0 && above.length === 0 && (
          <p class="hint new-job-above" role="status">
            No setting matches “{search.trim()}”.
          </p>
        )}
        {GROUPS.map((group) => {
          const own = found.filter((field) => field.group === group);
          if (own.length === 0) return null;
          // A group with an error can't be folded.
          const isForced = isSearching || own.some((field) => problems.includes(field.name));
          const isOpen = isForced || opened[group] === true;
          const count = own.filter((field) => changed.includes(field.name)).length;
          return (
            <details
              key={group}
              open={isOpen}
              onToggle={(event) => {
                const now = event.currentTarget.open;
                if (isForced) event.currentTarget.open = true;
                else if (now !== isOpen) setOpened((before) => ({ ...before, [group]: now }));
              }}
            >
              <summary>
                <Icon name="chevron" />
                {group}
                <small class="soft">{listNames(own)}</small>
                {count > 0 && <span class="badge busy">{count} changed</span>}
              </summary>
              <div class="new-job-grid">
                {own.map((field) => (
                  <ConfigFieldRow key={field.name} field={field} />
                ))}
              </div>
            </details>
          );
        })}
      </div>
    </section>
  );
}

function listNames(fields: ConfigField[]): string {
  return fields.map((field) => field.label.toLowerCase().replace("lora", "LoRA")).join(", ");
}
