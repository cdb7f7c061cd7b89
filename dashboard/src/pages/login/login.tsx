// The login page, for an API key or for the one-time link that `emotune up` and `emotune dashboard` print.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { asError } from "../../api/client";
import type { Session } from "../../api/types";
import { navigate, type Route } from "../../router";
import { logIn } from "../../session";
import { Icon } from "../../ui/icons";
import { ThemeButton } from "../../ui/theme";
import { LoginCurves } from "./login-curves";
import "./login.css";

export function LoginPage({ route, onLogin }: { route: Route; onLogin: (session: Session) => void }) {
  const code = route.parts[0] === "login" ? route.query.get("code") : null;
  const [apiKey, setApiKey] = useState("");
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(code !== null);
  const box = useRef<HTMLInputElement>(null);

  async function enter(proof: { api_key: string } | { code: string }): Promise<void> {
    setBusy(true);
    setError("");
    try {
      const session = await logIn(proof);
      // A code works once, so it is removed from the address and from the browser's history.
      const isAtLogin = route.parts[0] === "login" || route.parts.length === 0;
      if (isAtLogin) navigate("/jobs", {}, { replace: true });
      onLogin(session);
    } catch (caught) {
      setError(asError(caught).message);
      if ("code" in proof) navigate("/login", {}, { replace: true });
    } finally {
      setBusy(false);
    }
  }

  // biome-ignore lint/correctness/useExhaustiveDependencies: the code of the link is used once, when the page opens
  useEffect(() => {
    document.title = "Log in · emotune";
    if (code !== null) void enter({ code });
    else box.current?.focus();
  }, [code]);

  return (
    <LoginFrame>
      {code !== null && !error ? (
        <p role="status">Logging you in with the link …</p>
      ) : (
        <form
          class="stack"
          onSubmit={(event) => {
            event.preventDefault();
            void enter({ api_key: apiKey.trim() });
          }}
        >
          {/* This gives password managers a name for the key. */}
          <input type="text" name="username" autocomplete="username" value="emotune" readOnly hidden />
          <label class="field">
            <span class="field-name">API key</span>
            <input
              ref={box}
              type="password"
              name="api_key"
              autocomplete="current-password"
              spellcheck={false}
              placeholder="emo_…"
              required
              value={apiKey}
              aria-invalid={error ? "true" : undefined}
              aria-describedby="login-problem login-help"
              onInput={(event) => setApiKey(event.currentTarget.value)}
            />
          </label>
          <p class="problem" id="login-problem" role="alert">
            {error && (
              <>
                <Icon name="alert" /> <span>{error}</span>
              </>
            )}
          </p>
          <button type="submit" class="primary" disabled={isBusy}>
            {isBusy ? "Logging in …" : "Log in"}
          </button>
        </form>
      )}
      <p id="login-help" class="hint">
        Use the same key as for curl and the command line. On the server itself, <code>emotune dashboard</code> prints a
        link that logs you in.
      </p>
    </LoginFrame>
  );
}

/** The frame of the page before the login, with any content. */
export function LoginFrame({ children }: { children: ComponentChildren }) {
  return (
    <main class="login">
      <LoginCurves />
      <div class="login-theme">
        <ThemeButton />
      </div>
      <div class="login-card card">
        <h1>
          <Icon name="logo" /> emotune
        </h1>
        <p class="login-words">Fine-tune emotional Gemma, and watch it learn.</p>
        {children}
      </div>
    </main>
  );
}
