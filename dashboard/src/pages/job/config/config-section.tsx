// All hyperparameters of the job, first those that differ from the default.

import { useEffect, useMemo, useState } from "preact/hooks";
import { CopyButton } from "../../../ui/copy-button";
import { Section } from "../section";
import { type ConfigRow, groupConfig } from "./config-table";
import { type ConfigDoc, loadConfigDocs } from "./schema-doc";

/** On a telephone the whole table would be longer than the rest of the page. */
const NARROW_PIXELS = 760;

export function ConfigSection({ config }: { config: Record<string, unknown> }) {
  const [docs, setDocs] = useState<ConfigDoc[]>([]);
  const [isShort, setShort] = useState(() => window.innerWidth < NARROW_PIXELS);
  useEffect(() => {
    // Without the API's document, the values are shown without descriptions.
    loadConfigDocs()
      .then(setDocs)
      .catch(() => {});
  }, []);
  const groups = useMemo(() => groupConfig(config, docs), [config, docs]);
  const shown = isShort ? groups.filter((group) => group.rows.some((row) => row.instead !== null)) : groups;
  return (
    <Section
      id="config"
      title="Config"
      tools={
        <>
          <label class="row">
            <input type="checkbox" checked={isShort} onChange={(event) => setShort(event.currentTarget.checked)} />
            Only differences
          </label>
          <CopyButton label="Copy the config as JSON" getText={() => JSON.stringify(config, null, 2)} />
        </>
      }
    >
      {shown.length === 0 && <p class="soft">All values are the defaults.</p>}
      <div class="job-config">
        {shown.map((group) => (
          <table key={group.title} class={group.rows[0]?.instead === null ? "" : "job-config-changed"}>
            <caption>{group.title}</caption>
            <tbody>
              {group.rows.map((row) => (
                <Row key={row.name} row={row} />
              ))}
            </tbody>
          </table>
        ))}
      </div>
    </Section>
  );
}

function Row({ row }: { row: ConfigRow }) {
  return (
    <tr>
      <th scope="row">
        <code>{row.name}</code>
        <small>
          {row.description
            .split("`")
            .map((part, index) => (index % 2 ? <code key={`${index} ${part}`}>{part}</code> : part))}
        </small>
      </th>
      <td>
        <b>{row.value}</b>
        {row.instead !== null && <small class="soft">default: {row.instead}</small>}
      </td>
    </tr>
  );
}
