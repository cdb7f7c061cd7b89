// The page of a new job: an empty form, a form for a dataset, or a copy of another job.

import "./new-job.css";
import { useEffect, useMemo, useState } from "preact/hooks";
import { ApiError, request } from "../../api/client";
import { usePoll } from "../../api/poll";
import type { Items, Job } from "../../api/types";
import { type ConfigField, type OpenApi, readConfigFields } from "../../lib/config-fields";
import { navigate, type Route } from "../../router";
import { useSession } from "../../session";
import { ErrorBox, Skeleton } from "../../ui/feedback";
import { JobFormView } from "./form";
import type { Notes, Original } from "./from-original";
import { copyJob, EMPTY_FORM, type JobForm, type Preset } from "./job-form";
import { forget, readSaved } from "./storage";

// The document changes only with the release of the server, and then the pages change too.
let known: ConfigField[] | undefined;

export function NewJobPage({ route }: { route: Route }) {
  const { session } = useSession();
  const datasetId = route.query.get("dataset") ?? "";
  const from = route.query.get("from") ?? "";
  const [round, setRound] = useState(0);
  const seed = `${session.team.id} ${datasetId} ${from}`;
  return (
    <Preparation
      key={`${seed} ${round}`}
      seed={seed}
      datasetId={datasetId}
      from={from}
      onStartOver={() => {
        forget();
        setRound(round + 1);
        navigate("/new-job", {}, { replace: true });
        window.scrollTo({ top: 0 });
      }}
    />
  );
}

interface Start {
  form: JobForm;
  original: Original | null;
  notes: Notes;
}

/** Loads everything that the form needs before it can be shown. */
function Preparation({
  seed,
  datasetId,
  from,
  onStartOver,
}: {
  seed: string;
  datasetId: string;
  from: string;
  onStartOver: () => void;
}) {
  const saved = useMemo(() => readSaved(seed), [seed]);
  const document = usePoll<OpenApi>(known ? null : "/openapi.json", 0);
  const presets = usePoll<Items<Preset>>("/presets", 0);
  const job = usePoll<Job>(from ? `/jobs/${encodeURIComponent(from)}` : null, 0);
  const [start, setStart] = useState<Start>();
  const fields = useMemo(() => {
    if (document.data) known ??= readConfigFields(document.data);
    return known;
  }, [document.data]);
  const error = document.error ?? presets.error ?? job.error;

  useEffect(() => {
    if (start || !fields || !presets.data || (from && !job.data)) return;
    if (!job.data) {
      setStart({ form: saved?.form ?? { ...EMPTY_FORM, datasetId }, original: null, notes: {} });
      return;
    }
    const form = copyJob(job.data, presets.data.items, fields);
    const original = { id: job.data.id, name: job.data.name, config: job.data.config, form };
    if (saved) {
      setStart({ form: saved.form, original, notes: {} });
      return;
    }
    let isWanted = true;
    void dropWhatIsGone(form, job.data).then((found) => {
      if (isWanted) setStart({ ...found, original });
    });
    return () => {
      isWanted = false;
    };
  }, [start, fields, presets.data, job.data, from, datasetId, saved]);

  if (!start || !fields || !presets.data) {
    return (
      <>
        <div class="page-head">
          <h1>New job</h1>
        </div>
        {error ? (
          <ErrorBox error={error} />
        ) : (
          <div class="new-job" role="status" aria-label="Loading the form">
            <div class="card">
              <Skeleton lines={14} />
            </div>
            <div class="card new-job-side">
              <Skeleton lines={8} />
            </div>
          </div>
        )}
      </>
    );
  }
  return (
    <JobFormView
      seed={seed}
      initial={start.form}
      initialSent={saved?.sent ?? null}
      original={start.original}
      notes={start.notes}
      fields={fields}
      presets={presets.data.items}
      onStartOver={onStartOver}
    />
  );
}

/** A job exists longer than its datasets, so they may have been deleted. */
async function dropWhatIsGone(form: JobForm, job: Job): Promise<{ form: JobForm; notes: Notes }> {
  const [isGone, isValidationGone] = await Promise.all([
    isDeleted(form.datasetId),
    isDeleted(form.validationDatasetId),
  ]);
  const notes: Notes = {};
  const kept = { ...form };
  if (isGone) {
    kept.datasetId = "";
    notes.datasetId = `The dataset of that job, “${job.dataset.name}”, has been deleted. Choose another one.`;
  }
  if (isValidationGone) {
    kept.validationDatasetId = "";
    notes.validationDatasetId = `“${job.validation_dataset?.name}”, on which its loss was measured, has been deleted. Choose another one.`;
  }
  return { form: kept, notes };
}

async function isDeleted(datasetId: string): Promise<boolean> {
  if (!datasetId) return false;
  try {
    await request("GET", `/datasets/${encodeURIComponent(datasetId)}`);
    return false;
  } catch (caught) {
    return caught instanceof ApiError && caught.status === 404;
  }
}
