// The list of chosen files: the name, the progress and the result of each.

import { ReportSummary } from "../../datasets/report";
import { cancel, type Sending, start, useSendings } from "../../datasets/uploads";
import { formatBytes, formatSeconds, formatShare } from "../../lib/format";
import { Link } from "../../router";
import { Notice } from "../../ui/feedback";
import { Icon } from "../../ui/icons";
import { RefusedFile } from "./repair/refused-file";
import { FORM_FIELDS, SendingForm } from "./sending-form";
import "./sending-list.css";

export function SendingList() {
  const sendings = useSendings();
  const chosen = sendings.filter((each) => each.phase === "chosen");
  if (sendings.length === 0) return null;
  return (
    <section class="stack" aria-label="Uploads">
      {chosen.length > 1 && (
        <div class="row datasets-all">
          <span class="soft">{chosen.length} files chosen, sent one after the other</span>
          <button
            type="button"
            onClick={() =>
              start(
                chosen.map((each) => each.id),
                { isCheck: true },
              )
            }
          >
            Check all only
          </button>
          <button
            type="button"
            class="primary"
            disabled={chosen.some((each) => each.name.trim() === "")}
            onClick={() => start(chosen.map((each) => each.id))}
          >
            Upload all {chosen.length}
          </button>
        </div>
      )}
      {sendings.map((sending) => (
        <SendingCard key={sending.id} sending={sending} />
      ))}
    </section>
  );
}

function SendingCard({ sending }: { sending: Sending }) {
  const isUnderWay = sending.phase === "sending" || sending.phase === "checking";
  const label = isUnderWay ? "Cancel" : sending.phase === "waiting" ? "Don't send it" : "Remove it from the list";
  return (
    <article class="card datasets-sending" aria-label={sending.fileName}>
      <header class="card-head">
        <h2>
          {sending.fileName} <small class="soft">{formatBytes(sending.file.size)}</small>
        </h2>
        {isUnderWay ? (
          <button type="button" onClick={() => cancel(sending.id)}>
            Cancel
          </button>
        ) : (
          <button
            type="button"
            class="quiet"
            title={label}
            aria-label={`${label}: ${sending.fileName}`}
            onClick={() => cancel(sending.id)}
          >
            <Icon name="close" />
          </button>
        )}
      </header>
      <div class="card-body stack">
        <SendingBody sending={sending} />
      </div>
    </article>
  );
}

function SendingBody({ sending }: { sending: Sending }) {
  switch (sending.phase) {
    case "chosen":
      return <SendingForm sending={sending} />;
    case "waiting":
      return <p class="soft">Waiting for the file before it.</p>;
    case "sending":
    case "checking":
      return <SendingProgress sending={sending} />;
    case "failed":
      return <Failure sending={sending} />;
    case "refused":
      return <RefusedFile key={sending.file.size} sending={sending} />;
    case "checked":
      return (
        <>
          <Result title="Valid: an upload would accept it. Nothing is stored yet.">
            <button type="button" class="primary" onClick={() => start([sending.id])}>
              <Icon name="upload" /> Upload it
            </button>
          </Result>
          {sending.report && <ReportSummary report={sending.report} />}
        </>
      );
    case "stored":
      return (
        <>
          <Result
            title={`Stored as "${sending.dataset?.name}"${sending.repairedCount ? `, with ${sending.repairedCount} lines fixed here` : ""}.`}
          >
            <Link to={`/datasets/${sending.dataset?.id}`} class="button">
              Open it
            </Link>
            <Link to="/new-job" query={{ dataset: sending.dataset?.id }} class="button primary">
              New job with it
            </Link>
          </Result>
          {sending.report && <ReportSummary report={sending.report} />}
        </>
      );
  }
}

/**
 * A file that the API refused can be changed and sent again; a file that failed on the way can be sent again unchanged.
 */
function Failure({ sending }: { sending: Sending }) {
  const { id, error, isCheck } = sending;
  const isAtField = error?.problems.some((problem) => FORM_FIELDS.has(problem.field ?? ""));
  return (
    <>
      {!isAtField && (
        <Notice kind="failed">
          <p role="alert">{error?.message}</p>
          {error?.isUnreachable && (
            <div class="row datasets-next">
              <button type="button" onClick={() => start([id], { isCheck })}>
                Try again
              </button>
            </div>
          )}
        </Notice>
      )}
      {!error?.isUnreachable && <SendingForm sending={sending} />}
    </>
  );
}

function Result({ title, children }: { title: string; children: preact.ComponentChildren }) {
  return (
    <div class="datasets-result" role="status">
      <Icon name="check" />
      <strong>{title}</strong>
      <div class="row">{children}</div>
    </div>
  );
}

function SendingProgress({ sending }: { sending: Sending }) {
  const { file, sentBytes, rate, error } = sending;
  const share = file.size ? Math.min(sentBytes / file.size, 1) : 1;
  if (sending.phase === "checking") {
    return (
      <div class="progress" role="status">
        <progress aria-label={`Checking ${sending.fileName}`} />
        <small>All {formatBytes(file.size)} are there. Checking every line …</small>
      </div>
    );
  }
  return (
    <div class="progress">
      <progress max={1} value={share} aria-label={`Sending ${sending.fileName}`} />
      <small class="datasets-pace">
        <span>
          {formatBytes(sentBytes)} of {formatBytes(file.size)}
        </span>
        <span>{formatShare(share)}</span>
        {rate.bytesPerSecond !== null && !error && <span>{formatBytes(rate.bytesPerSecond)}/s</span>}
        {rate.secondsLeft !== null && share < 1 && !error && (
          <span>{formatSeconds(Math.ceil(rate.secondsLeft))} left</span>
        )}
      </small>
      <p class="problem" role="status">
        {error && "The connection is lost. The parts that have arrived are kept, and the rest is sent automatically."}
      </p>
    </div>
  );
}
