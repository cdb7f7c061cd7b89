// The page of one dataset: its facts, the report of its upload, and its tokens as a base model reads them.

import { useCallback, useEffect, useState } from "preact/hooks";
import { makeQuery } from "../../api/client";
import { usePoll } from "../../api/poll";
import type { Dataset } from "../../api/types";
import { DeleteDataset } from "../../datasets/delete-dataset";
import { formatBytes, formatCount } from "../../lib/format";
import { Link, navigate, type Route } from "../../router";
import { CopyButton } from "../../ui/copy-button";
import { ErrorBox, Skeleton } from "../../ui/feedback";
import { Icon } from "../../ui/icons";
import { Time } from "../../ui/time";
import { toast } from "../../ui/toasts";
import { CoverageCard } from "./coverage";
import "./emotion.css";
import { ModelView, useModelView } from "./model-view";
import { PreviewCard } from "./preview";
import "./dataset.css";
import { IgnoredKeys, ReportCounts, WarningList } from "../../datasets/report";
import type { Report } from "../../datasets/report-types";
import { StatisticsCards } from "./statistics";
import { useStatistics } from "./use-statistics";

export function DatasetPage({ datasetId, route }: { datasetId: string; route: Route }) {
  // A dataset never changes, so it is asked for once, and again only after an error.
  const { data: dataset, error } = usePoll<Dataset>(`/datasets/${encodeURIComponent(datasetId)}`, 0);
  const view = useModelView(datasetId, route);
  const statistics = useStatistics(
    dataset && view.baseModel
      ? `/datasets/${dataset.id}/statistics${makeQuery({ base_model: view.baseModel, max_length: view.maxLength })}`
      : null,
  );
  const [jump, setJump] = useState<{ line: number } | null>(null);
  // Other pages link to a line of the dataset.
  const asked = Number(route.query.get("line"));
  useEffect(() => {
    if (Number.isInteger(asked) && asked > 0) setJump({ line: asked });
  }, [asked]);
  const goToLine = useCallback((line: number) => setJump({ line }), []);

  useEffect(() => {
    if (dataset) document.title = `${dataset.name} · emotune`;
  }, [dataset]);

  if (!dataset) {
    if (!error) return <DatasetSkeleton />;
    return (
      <ErrorBox error={error}>
        <p>
          <Link to="/datasets">All datasets</Link>
        </p>
      </ErrorBox>
    );
  }
  const report = dataset.report as Report | null;
  // This waits until the models are known and the first answer is there; the sections themselves wait for anything
  // slower.
  const isPending =
    !view.models || (view.baseModel !== null && !statistics.data && !statistics.error && !statistics.isComputing);
  return (
    <>
      <DatasetHead dataset={dataset} />
      <div class="stack">
        <div class="dataset-top">
          <FactsCard dataset={dataset} />
          {report && <UploadReport report={report} />}
        </div>
        <ModelView view={view} />
        <StatisticsCards computed={statistics} hasModel={!view.models || view.baseModel !== null} onLine={goToLine} />
        <CoverageCard
          axes={dataset.axes}
          report={report}
          tokens={statistics.data?.statistics ?? null}
          isPending={isPending}
        />
        {view.baseModel && (
          <PreviewCard
            dataset={dataset}
            baseModel={view.baseModel}
            maxLength={view.maxLength}
            emotionSpan={view.emotionSpan}
            jump={jump}
          />
        )}
      </div>
    </>
  );
}

/** It has the shape of the page that is loading, so that nothing moves. */
function DatasetSkeleton() {
  return (
    <>
      <div class="page-head">
        <div class="dataset-title">
          <Link to="/datasets">Datasets</Link>
          <h1>…</h1>
        </div>
      </div>
      <div class="stack">
        <div class="card">
          <Skeleton lines={10} />
        </div>
      </div>
    </>
  );
}

function DatasetHead({ dataset }: { dataset: Dataset }) {
  const [isDoomed, setDoomed] = useState(false);
  return (
    <div class="page-head">
      <div class="dataset-title">
        <Link to="/datasets">Datasets</Link>
        <h1>{dataset.name}</h1>
      </div>
      <div class="row">
        <button type="button" class="danger" onClick={() => setDoomed(true)}>
          <Icon name="trash" /> Delete
        </button>
        <Link to="/new-job" query={{ dataset: dataset.id }} class="button primary">
          <Icon name="plus" /> New job with it
        </Link>
      </div>
      {isDoomed && (
        <DeleteDataset
          dataset={dataset}
          onClose={() => setDoomed(false)}
          onDeleted={(deleted) => {
            toast("done", `"${deleted.name}" was deleted.`);
            navigate("/datasets");
          }}
        />
      )}
    </div>
  );
}

const FORMATS = { jsonl: "JSON Lines", json: "JSON", csv: "CSV", parquet: "Parquet" };

function Downloads({ dataset }: { dataset: Dataset }) {
  return (
    <div class="dataset-downloads">
      {Object.entries(FORMATS).map(([format, name]) => (
        <a
          key={format}
          class="button small"
          href={`/datasets/${dataset.id}/file?format=${format}`}
          download
          aria-label={`Download as ${name}`}
        >
          <Icon name="download" /> {name}
        </a>
      ))}
    </div>
  );
}

function FactsCard({ dataset }: { dataset: Dataset }) {
  return (
    <section class="card">
      <h2>The dataset</h2>
      <div class="card-body">
        <dl class="facts">
          <dt>Examples</dt>
          <dd class="number">{formatCount(dataset.example_count)}</dd>
          <dt>Size</dt>
          <dd>
            <span title={`${formatCount(dataset.size_bytes)} bytes`}>{formatBytes(dataset.size_bytes)}</span>
          </dd>
          <dt>Uploaded</dt>
          <dd>
            <Time at={dataset.created_at} />
          </dd>
          <dt>Axes</dt>
          <dd class="dataset-axes">{dataset.axes.join(", ")}</dd>
          <dt>sha256</dt>
          <dd>
            <Copied text={dataset.sha256} name="the sha256" />
          </dd>
          <dt>Id</dt>
          <dd>
            <Copied text={dataset.id} name="the id" />
          </dd>
          <dt>Download</dt>
          <dd>
            <Downloads dataset={dataset} />
          </dd>
        </dl>
      </div>
    </section>
  );
}

function Copied({ text, name }: { text: string; name: string }) {
  return (
    <span class="dataset-copied">
      <code>{text}</code>
      <CopyButton label={`Copy ${name}`} getText={() => text} />
    </span>
  );
}

function UploadReport({ report }: { report: Report }) {
  return (
    <section class="card">
      <h2>Upload report</h2>
      <div class="card-body stack">
        <ReportCounts report={report} />
        {report.warnings.length ? (
          <WarningList warnings={report.warnings} />
        ) : (
          <p class="dataset-fine">
            <Icon name="check" /> No warnings.
          </p>
        )}
        <IgnoredKeys keys={report.ignored_keys} />
        {report.warnings.some((warning) => warning.lines?.length) && (
          <p class="hint">Line numbers refer to the file as it was uploaded.</p>
        )}
      </div>
    </section>
  );
}
