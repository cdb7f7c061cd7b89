// The frame of all pages: it shows who is logged in and where the reader is, and chooses the page by the address.

import type { ComponentChildren } from "preact";
import { lazy, Suspense } from "preact/compat";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, setUnauthorizedHandler } from "./api/client";
import type { Session } from "./api/types";
import { JobsPage } from "./pages/jobs/jobs";
import { LoginFrame, LoginPage } from "./pages/login/login";
import { Link, navigate, type Route, useRoute } from "./router";
import { endSession, findSession, forgetSession, SessionContext, useSession } from "./session";
import { ErrorBox } from "./ui/feedback";
import { Icon, type IconName } from "./ui/icons";
import { ThemeButton } from "./ui/theme";
import { Toasts } from "./ui/toasts";

// The page that people open first is loaded with the frame; the other pages are loaded when they are opened.
const ComparePage = lazy(() => import("./pages/compare/compare").then((module) => module.ComparePage));
const DatasetPage = lazy(() => import("./pages/dataset/dataset").then((module) => module.DatasetPage));
const DatasetsPage = lazy(() => import("./pages/datasets/datasets").then((module) => module.DatasetsPage));
const JobPage = lazy(() => import("./pages/job/job").then((module) => module.JobPage));
const NewJobPage = lazy(() => import("./pages/new-job/new-job").then((module) => module.NewJobPage));
const QueuePage = lazy(() => import("./pages/queue/queue").then((module) => module.QueuePage));
const TeamPage = lazy(() => import("./pages/team/team").then((module) => module.TeamPage));

const PAGES: { path: string; name: string; icon: IconName }[] = [
  { path: "/jobs", name: "Jobs", icon: "jobs" },
  { path: "/datasets", name: "Datasets", icon: "datasets" },
  { path: "/queue", name: "Queue and slots", icon: "queue" },
  { path: "/team", name: "Team", icon: "team" },
];

/** The names of pages that are not in the menu. */
const NAMES: Record<string, string> = { compare: "Compare jobs", "new-job": "New job" };

export function App() {
  const [session, setSession] = useState<Session | null | undefined>(undefined);
  const [error, setError] = useState<ApiError | null>(null);
  const route = useRoute();

  useEffect(() => {
    setUnauthorizedHandler(() => {
      forgetSession();
      setSession(null);
    });
    let timer: number | undefined;
    const look = () =>
      findSession()
        .then((found) => {
          setError(null);
          setSession(found);
        })
        .catch((caught: unknown) => {
          if (!(caught instanceof ApiError) || caught.status === 401) return setSession(null);
          setError(caught);
          timer = window.setTimeout(look, 2_000);
        });
    void look();
    return () => window.clearTimeout(timer);
  }, []);

  const logOut = useCallback(async () => {
    await endSession();
    setSession(null);
    navigate("/login");
  }, []);
  const control = useMemo(() => (session ? { session, logOut } : null), [session, logOut]);

  if (session === undefined) {
    if (error) {
      return (
        <LoginFrame>
          <ErrorBox error={error} />
        </LoginFrame>
      );
    }
    // This usually takes a moment only; a page that appears and disappears would flicker.
    return (
      <p class="hidden-text" role="status">
        Loading …
      </p>
    );
  }
  // A login link is used even if somebody is logged in, because it may be for another key.
  if (control === null || (route.parts[0] === "login" && route.query.has("code"))) {
    return <LoginPage route={route} onLogin={setSession} />;
  }
  return (
    <SessionContext.Provider value={control}>
      <Frame route={route}>
        <Suspense fallback={<PageSkeleton />}>
          <PageOf route={route} />
        </Suspense>
      </Frame>
      <Toasts />
    </SessionContext.Provider>
  );
}

function PageOf({ route }: { route: Route }) {
  const [noun, id] = route.parts;
  switch (noun) {
    case undefined:
    case "login":
    case "jobs":
      return id ? <JobPage key={id} jobId={id} route={route} /> : <JobsPage route={route} />;
    case "new-job":
      return <NewJobPage route={route} />;
    case "datasets":
      return id ? <DatasetPage key={id} datasetId={id} route={route} /> : <DatasetsPage route={route} />;
    case "compare":
      return <ComparePage route={route} />;
    case "queue":
      return <QueuePage />;
    case "team":
      return <TeamPage route={route} />;
    default:
      return (
        <section class="empty">
          <h1>Page not found</h1>
          <p>
            <Link to="/jobs">Go to the jobs page</Link>
          </p>
        </section>
      );
  }
}

/** Keeps the page's height while its code is loading, so that nothing moves. */
function PageSkeleton() {
  return <div class="skeleton page-skeleton" role="status" aria-label="Loading the page" />;
}

function Frame({ route, children }: { route: Route; children: ComponentChildren }) {
  const { session, logOut } = useSession();
  const noun = route.parts[0] ?? "jobs";
  const current = ["new-job", "compare", "login"].includes(noun) ? "jobs" : noun;
  const place = route.parts.join("/");
  const shown = useRef(place);
  useEffect(() => {
    // A page that shows one thing replaces this title as soon as it knows the name.
    const name = NAMES[noun] ?? PAGES.find((page) => page.path === `/${current}`)?.name;
    document.title = name ? `${name} · emotune` : "emotune";
    if (shown.current === place) return;
    shown.current = place;
    // A new page starts at its top and screen readers start there, as with ordinary links.
    window.scrollTo(0, 0);
    const main = document.getElementById("main");
    if (!main?.contains(document.activeElement)) main?.focus({ preventScroll: true });
  }, [place, noun, current]);
  return (
    <div class="frame">
      <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the content
      </button>
      <header class="bar">
        <Link to="/jobs" class="brand" aria-label="emotune: jobs">
          <Icon name="logo" />
          <span>emotune</span>
        </Link>
        <nav aria-label="Pages">
          {PAGES.map((page) => (
            <Link key={page.path} to={page.path} aria-current={page.path === `/${current}` ? "page" : undefined}>
              <Icon name={page.icon} />
              <span>{page.name}</span>
            </Link>
          ))}
        </nav>
        <div class="who">
          <span class="who-name" title={`Logged in with the key "${session.key.name}"`}>
            {session.team.name}
            {session.is_operator && <small>operator</small>}
          </span>
          <ThemeButton />
          <button type="button" class="quiet" onClick={() => void logOut()} title="Log out" aria-label="Log out">
            <Icon name="logout" />
          </button>
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}
