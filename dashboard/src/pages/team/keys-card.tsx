// The API keys of a team: make one, see which are used, revoke one.

import { useState } from "preact/hooks";
import { makeQuery, request } from "../../api/client";
import { usePoll } from "../../api/poll";
import type { Items, Key } from "../../api/types";
import { useSession } from "../../session";
import { Confirm } from "../../ui/dialog";
import { Empty, ErrorBox, Skeleton } from "../../ui/feedback";
import { FormDialog } from "../../ui/form-dialog";
import { Icon } from "../../ui/icons";
import { Time } from "../../ui/time";
import { toast } from "../../ui/toasts";
import { SecretDialog } from "./secret-dialog";

const POLL_MS = 10_000;

/** A `team` of null is the reader's own team. */
export function KeysCard({ team }: { team: string | null }) {
  const { session, logOut } = useSession();
  const keys = usePoll<Items<Key>>(`/keys${makeQuery({ team })}`, POLL_MS);
  const [isMaking, setMaking] = useState(false);
  const [secret, setSecret] = useState<{ name: string; secret: string } | null>(null);
  const [revoked, setRevoked] = useState<Key | null>(null);
  const mayRevoke = (key: Key) => key.revoked_at === null && (session.is_operator || !key.is_operator);

  return (
    <section class="card" aria-labelledby="keys-title">
      <div class="card-head">
        <h2 id="keys-title">API keys</h2>
        <button type="button" onClick={() => setMaking(true)}>
          <Icon name="plus" /> New key
        </button>
      </div>
      {keys.data?.items.length === 0 && (
        <Empty icon="key" title="There are no keys">
          <p>A key lets a person or a script post jobs for the team.</p>
        </Empty>
      )}
      {keys.data && keys.data.items.length > 0 && (
        <div class="table-box">
          <table class="cards">
            <thead>
              <tr>
                <th>Name</th>
                <th>Begins with</th>
                <th>Made</th>
                <th>Last used</th>
                <th>Status</th>
                <th>
                  <span class="hidden-text">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {keys.data.items.map((key) => (
                <tr key={key.id}>
                  <td data-label="Name">
                    <span class="row">
                      <b>{key.name}</b>
                      {key.is_operator && <span class="badge busy">operator</span>}
                      {key.is_current && <span class="badge good">this session</span>}
                    </span>
                  </td>
                  <td data-label="Begins with">
                    <code>{key.prefix}…</code>
                  </td>
                  <td data-label="Made">
                    <Time at={key.created_at} />
                  </td>
                  <td data-label="Last used">
                    {key.last_used_at ? <Time at={key.last_used_at} /> : <span class="soft">never</span>}
                  </td>
                  <td data-label="Status">
                    {key.revoked_at ? (
                      <span class="soft">
                        revoked <Time at={key.revoked_at} />
                      </span>
                    ) : (
                      "active"
                    )}
                  </td>
                  <td class="number">
                    {mayRevoke(key) && (
                      <button
                        type="button"
                        class="danger small"
                        onClick={() => setRevoked(key)}
                        aria-label={`Revoke ${key.name}`}
                      >
                        Revoke
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {!keys.data && (keys.error ? <ErrorBox error={keys.error} /> : <Skeleton lines={3} />)}
      {isMaking && (
        <KeyDialog
          team={team}
          onClose={() => setMaking(false)}
          onMade={(made) => {
            setSecret({ name: made.key.name, secret: made.secret });
            keys.refresh();
          }}
        />
      )}
      {secret && <SecretDialog {...secret} onClose={() => setSecret(null)} />}
      {revoked && (
        <Confirm
          title={`Revoke ${revoked.name}?`}
          action="Revoke the key"
          onClose={() => setRevoked(null)}
          act={async () => {
            await request("POST", `/keys/${revoked.id}/revoke`);
            toast("done", `${revoked.name} was revoked.`);
            if (revoked.is_current) await logOut().catch(() => undefined);
            else keys.refresh();
          }}
        >
          <p>
            All requests with this key will be refused from now on. This can't be undone.
            {revoked.is_current && " It is the key that you are logged in with, so you will be logged out."}
          </p>
        </Confirm>
      )}
    </section>
  );
}

function KeyDialog({
  team,
  onClose,
  onMade,
}: {
  team: string | null;
  onClose: () => void;
  onMade: (made: { key: Key; secret: string }) => void;
}) {
  const { session } = useSession();
  const [name, setName] = useState("");
  const [isOperator, setOperator] = useState(false);
  return (
    <FormDialog
      title={team === null ? "New key" : `New key for ${team}`}
      action="Make the key"
      onClose={onClose}
      send={async () => {
        const body = { name, ...(team === null ? {} : { team }), ...(isOperator ? { is_operator: true } : {}) };
        onMade(await request<{ key: Key; secret: string }>("POST", "/keys", { body }));
      }}
    >
      <label class="field">
        <span class="field-name">What it is for</span>
        <input
          required
          maxLength={100}
          value={name}
          placeholder="nightly runs"
          onInput={(event) => setName(event.currentTarget.value)}
        />
      </label>
      {session.is_operator && (
        <label class="team-check">
          <input type="checkbox" checked={isOperator} onChange={(event) => setOperator(event.currentTarget.checked)} />
          An operator's key, which can manage the queue, slots and teams
        </label>
      )}
    </FormDialog>
  );
}
