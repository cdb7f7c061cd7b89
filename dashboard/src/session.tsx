// Holds who is logged in. The session itself is a cookie that no script can read.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { request, setCsrfToken } from "./api/client";
import type { Session } from "./api/types";

export interface SessionControl {
  session: Session;
  logOut: () => Promise<void>;
}

export const SessionContext = createContext<SessionControl | null>(null);

export function useSession(): SessionControl {
  const control = useContext(SessionContext);
  if (control === null) throw new Error("a page that needs a session is shown without one");
  return control;
}

// Scripts can't see the cookie, so a login leaves this mark. Without the mark there is no session to ask for.
const MARK = "emotune-logged-in";

function keep(session: Session): Session {
  setCsrfToken(session.csrf_token ?? null);
  window.localStorage.setItem(MARK, "yes");
  return session;
}

/** Forgets the session when it has ended or never existed. */
export function forgetSession(): void {
  setCsrfToken(null);
  window.localStorage.removeItem(MARK);
}

/** Returns null if nobody is logged in. Throws ApiError, with status 401 if the session has ended. */
export async function findSession(): Promise<Session | null> {
  return window.localStorage.getItem(MARK) ? keep(await request<Session>("GET", "/session")) : null;
}

/** Logs in with an API key or with the one-time code of a login link. */
export async function logIn(proof: { api_key: string } | { code: string }): Promise<Session> {
  return keep(await request<Session>("POST", "/session", { body: proof }));
}

export async function endSession(): Promise<void> {
  await request("DELETE", "/session");
  forgetSession();
}
