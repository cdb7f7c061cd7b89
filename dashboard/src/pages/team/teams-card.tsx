// The operator's table of all teams, with their weights and quotas.

import { useState } from "preact/hooks";
import { request } from "../../api/client";
import type { Team } from "../../api/types";
import { formatCount, formatShare } from "../../lib/format";
import { Link } from "../../router";
import { FormDialog } from "../../ui/form-dialog";
import { Icon } from "../../ui/icons";
import { toast } from "../../ui/toasts";
import { QuotaDialog } from "./quota-dialog";
import { formatSlotTime } from "./usage-view";

export function TeamsCard({ teams, current, onChange }: { teams: Team[]; current: string; onChange: () => void }) {
  const [changed, setChanged] = useState<Team | null>(null);
  const [isMaking, setMaking] = useState(false);
  return (
    <section class="card" aria-labelledby="teams-title">
      <div class="card-head">
        <h2 id="teams-title">All teams</h2>
        <button type="button" onClick={() => setMaking(true)}>
          <Icon name="plus" /> New team
        </button>
      </div>
      <div class="table-box">
        <table class="cards">
          <thead>
            <tr>
              <th>Team</th>
              <th class="number">Weight</th>
              <th class="number">Share</th>
              <th class="number">Recently used</th>
              <th class="number">Running</th>
              <th class="number">Waiting</th>
              <th class="number">Slot time in the window</th>
              <th>Highest class</th>
              <th>
                <span class="hidden-text">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {teams.map((team) => (
              <tr key={team.id}>
                <td data-label="Team">
                  {team.name === current ? (
                    <b>{team.name}</b>
                  ) : (
                    <Link to="/team" query={{ team: team.name }}>
                      {team.name}
                    </Link>
                  )}
                </td>
                <td class="number" data-label="Weight">
                  {team.weight}
                </td>
                <td class="number" data-label="Share">
                  {formatShare(team.share)}
                </td>
                <td class="number" data-label="Recently used">
                  {formatShare(team.used_share)}
                </td>
                <td class="number" data-label="Running">
                  {formatCount(team.running_count)} / {team.max_running ?? "∞"}
                </td>
                <td class="number" data-label="Waiting">
                  {formatCount(team.queued_count)} / {team.max_queued ?? "∞"}
                </td>
                <td class="number" data-label="Slot time in the window">
                  {formatSlotTime(team.window_seconds)} /{" "}
                  {team.max_slot_seconds === null ? "∞" : formatSlotTime(team.max_slot_seconds)}
                </td>
                <td data-label="Highest class">{team.max_priority_class}</td>
                <td class="number">
                  <button
                    type="button"
                    class="small"
                    aria-label={`Change ${team.name}`}
                    onClick={() => setChanged(team)}
                  >
                    Change
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {changed && <QuotaDialog team={changed} onClose={() => setChanged(null)} onDone={onChange} />}
      {isMaking && <TeamDialog onClose={() => setMaking(false)} onDone={onChange} />}
    </section>
  );
}

function TeamDialog({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const [name, setName] = useState("");
  return (
    <FormDialog
      title="New team"
      action="Create the team"
      onClose={onClose}
      send={async () => {
        const team = await request<Team>("POST", "/teams", { body: { name } });
        toast("done", `${team.name} was created. Open the team to make a key for it.`);
        onDone();
      }}
    >
      <label class="field">
        <span class="field-name">Name</span>
        <input required maxLength={100} value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
    </FormDialog>
  );
}
