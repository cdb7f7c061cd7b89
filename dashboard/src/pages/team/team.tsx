// The page of a team: what it may use, what it has used, and its keys. Operators also see all teams.

import "./team.css";
import { usePoll } from "../../api/poll";
import type { Items, Team } from "../../api/types";
import { Link, type Route } from "../../router";
import { useSession } from "../../session";
import { ErrorBox, Skeleton, StaleNotice } from "../../ui/feedback";
import { KeysCard } from "./keys-card";
import { ShareCard } from "./share-card";
import { TeamsCard } from "./teams-card";
import { UsageCard } from "./usage-card";

// Shares and usage change slowly.
const POLL_MS = 10_000;

export function TeamPage({ route }: { route: Route }) {
  const { session } = useSession();
  const asked = route.query.get("team");
  const isOther = session.is_operator && asked !== null && asked !== session.team.name;
  const own = usePoll<Team>(session.is_operator ? null : "/team", POLL_MS);
  const all = usePoll<Items<Team>>(session.is_operator ? "/teams" : null, POLL_MS);
  const name = isOther ? asked : session.team.name;
  const team = session.is_operator ? all.data?.items.find((each) => each.name === name) : own.data;
  const error = session.is_operator ? all.error : own.error;
  const isMissing = isOther && all.data !== undefined && team === undefined;

  return (
    <div class="stack">
      <div class="page-head">
        <h1>{name}</h1>
        {isOther && <Link to="/team">Back to your own team</Link>}
      </div>
      {isMissing && <p class="soft">Team not found.</p>}
      {team ? (
        <div class="team-columns">
          <ShareCard team={team} />
          <UsageCard team={isOther ? team.name : null} />
        </div>
      ) : error ? (
        <ErrorBox error={error} />
      ) : (
        !isMissing && <Skeleton lines={8} />
      )}
      {/* This is shown after the part above it, whose height decides its position, so that nothing moves. */}
      {!isMissing && (team || error) && <KeysCard key={name} team={isOther ? name : null} />}
      {session.is_operator && all.data && <TeamsCard teams={all.data.items} current={name} onChange={all.refresh} />}
      <StaleNotice error={team && error} />
    </div>
  );
}
