// The form of a new job: its parts, their errors, the estimate next to them, and the button that posts the job.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type ApiError, asError } from "../../api/client";
import { usePoll } from "../../api/poll";
import type { BaseModel, Items, Job, Slot } from "../../api/types";
import type { Config, ConfigField, ConfigValue } from "../../lib/config-fields";
import { VALIDATION_FIELD } from "../../lib/config-fields";
import { Link, navigate } from "../../router";
import { Notice, StaleNotice } from "../../ui/feedback";
import { toast } from "../../ui/toasts";
import { CommandsDialog } from "./commands-dialog";
import { MainSettings, MoreSettings } from "./config/settings-section";
import { DataSection } from "./data/data-section";
import { useDataset, useDatasets } from "./data/use-datasets";
import { Described } from "./described";
import { EstimatePanel } from "./estimate/estimate-panel";
import { FitDialog } from "./estimate/fit-dialog";
import { useEstimate } from "./estimate/use-estimate";
import { FormContext, type FormControl } from "./form-context";
import { FromOriginal, type Notes, type Original } from "./from-original";
import {
  applyChanges,
  fillPreset,
  findMissing,
  findProblems,
  type JobForm,
  listChanged,
  makeBody,
  type Preset,
  readValues,
  sortProblems,
} from "./job-form";
import { ModelSection, PresetSection } from "./model-section";
import { QueueSection } from "./queue-section";
import { forget, type SentRequest, save } from "./storage";
import { useSubmit } from "./use-submit";

const OTHER_FIELDS = [
  "dataset_id",
  "validation_dataset_id",
  "base_model",
  "name",
  "priority",
  "priority_class",
  "timeout_seconds",
];

export function JobFormView({
  seed,
  initial,
  initialSent,
  original,
  notes,
  fields,
  presets,
  onStartOver,
}: {
  seed: string;
  initial: JobForm;
  initialSent: SentRequest | null;
  original: Original | null;
  notes: Notes;
  fields: ConfigField[];
  presets: Preset[];
  onStartOver: () => void;
}) {
  const [form, setForm] = useState(initial);
  const [sent, setSent] = useState(initialSent);
  const [isTried, setTried] = useState(false);
  const [refused, setRefused] = useState<{ error: ApiError; body: string } | null>(null);
  const [dialog, setDialog] = useState<"commands" | "fit" | null>(null);
  const [focusWish, setFocusWish] = useState(0);
  const element = useRef<HTMLFormElement>(null);
  const models = usePoll<Items<BaseModel>>("/models", 30_000);
  const slots = usePoll<Items<Slot>>("/slots", 15_000);
  const datasets = useDatasets();
  const { dataset } = useDataset(form.datasetId, datasets.items);

  const base = useMemo(
    () =>
      fillPreset(
        presets.find((preset) => preset.name === form.preset),
        fields,
      ),
    [presets, fields, form.preset],
  );
  const values = useMemo(() => readValues(form, base, fields), [form, base, fields]);
  const problems = findProblems(form, fields);
  const missing = findMissing(form);
  const isWrong = Object.keys(problems).length > 0;
  const isReady = !isWrong && Object.keys(missing).length === 0;
  const body = isReady ? makeBody(form, base, fields) : null;
  const bodyText = body && JSON.stringify(body);
  const estimated = useEstimate(body);
  const submitting = useSubmit(sent, setSent);
  const changed = listChanged(form, base, fields);

  // The server's errors stay until the request changes.
  const isKnown = (name: string) => OTHER_FIELDS.includes(name) || fields.some((field) => field.name === name);
  const lastRefusal = refused && refused.body === bodyText ? refused.error : null;
  const said = sortProblems(lastRefusal?.problems ?? estimated.error?.problems ?? [], isKnown);
  const onTop = lastRefusal ? (said[""] ?? (lastRefusal.problems.length ? [] : [lastRefusal.message])) : [];

  useEffect(() => save({ seed, form, sent }), [seed, form, sent]);

  useEffect(() => {
    if (!focusWish) return;
    const wrong = element.current?.querySelector<HTMLElement>('[aria-invalid="true"]');
    const target = wrong?.matches("input, select") ? wrong : wrong?.querySelector<HTMLElement>("input:enabled");
    const place = target ?? element.current?.querySelector<HTMLElement>(".new-job-top");
    place?.scrollIntoView({ block: "center" });
    place?.focus({ preventScroll: true });
  }, [focusWish]);

  const change = useCallback((changes: Partial<JobForm>) => setForm((before) => ({ ...before, ...changes })), []);
  const setDraft = useCallback((name: string, draft: ConfigValue | undefined) => {
    setForm((before) => {
      const { [name]: _old, ...others } = before.drafts;
      return { ...before, drafts: draft === undefined ? others : { ...others, [name]: draft } };
    });
  }, []);

  const control: FormControl = {
    form,
    fields,
    base,
    values,
    original,
    isTried,
    change,
    setDraft,
    getProblem: (name, isLeft = false) =>
      (isTried || isLeft ? problems[name] : "") || (isTried ? missing[name] : "") || said[name]?.join(" ") || "",
  };

  function apply(changes: Config): void {
    setForm((before) => applyChanges(before, changes, base));
    setDialog(null);
    toast("done", `Set ${Object.keys(changes).join(" and ")}.`);
  }

  function check(): boolean {
    setTried(true);
    if (!body) setFocusWish((wish) => wish + 1);
    return body !== null;
  }

  async function post(isForced = false): Promise<void> {
    if (!check() || !body || !bodyText || submitting.isBusy) return;
    if (!isForced && estimated.isCurrent && estimated.estimate?.fits === false) {
      setDialog("fit");
      return;
    }
    setDialog(null);
    setRefused(null);
    let job: Job;
    try {
      job = await submitting.post(body);
    } catch (caught) {
      const error = asError(caught);
      setRefused({ error, body: bodyText });
      if (error.code === "would_not_fit") setDialog("fit");
      else setFocusWish((wish) => wish + 1);
      return;
    }
    forget();
    toast("done", `“${job.name}” was posted.`);
    navigate(`/jobs/${job.id}`);
  }

  const postRef = useRef(post);
  postRef.current = post;
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      void postRef.current();
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, []);

  const isFitRefused = lastRefusal?.code === "would_not_fit";
  const fitMessage = isFitRefused ? lastRefusal.message : (estimated.estimate?.advice ?? "");
  return (
    <FormContext.Provider value={control}>
      <div class="page-head">
        <h1>{original ? "New job from another job" : "New job"}</h1>
        {original && (
          <p class="soft">
            Copied from <Link to={`/jobs/${original.id}`}>{original.name}</Link>
          </p>
        )}
        <button type="button" class="quiet small" onClick={onStartOver}>
          Start again
        </button>
      </div>
      {/* Enter in a field posts nothing, because a job takes GPU time. Ctrl+Enter and the button post the job. */}
      <form ref={element} class="new-job" noValidate onSubmit={(event) => event.preventDefault()}>
        <div class="stack">
          {original && <FromOriginal form={form} values={values} original={original} notes={notes} fields={fields} />}
          {onTop.length > 0 && !isFitRefused && (
            <div class="new-job-top" tabIndex={-1} role="alert">
              <Notice kind="failed">
                <strong>{lastRefusal?.isUnreachable ? "No answer" : "The job was not posted"}</strong>
                {lastRefusal?.isUnreachable ? (
                  <p>
                    The server may or may not have created the job. Post it again: repeated posts create only one job.
                  </p>
                ) : (
                  onTop.map((message) => (
                    <p key={message}>
                      <Described text={message} />
                    </p>
                  ))
                )}
              </Notice>
            </div>
          )}
          <DataSection datasets={datasets} />
          <ModelSection models={models.data?.items} error={models.error} />
          <PresetSection presets={presets} touchedCount={changed.length} />
          <MainSettings
            changed={changed}
            onReset={() => {
              const share = form.drafts[VALIDATION_FIELD];
              change({ drafts: share === undefined ? {} : { [VALIDATION_FIELD]: share } });
            }}
          />
          <MoreSettings
            changed={changed}
            problems={[...(isTried ? Object.keys(problems) : []), ...Object.keys(said)]}
          />
          <QueueSection datasetName={dataset?.name} />
        </div>
        <EstimatePanel
          estimated={estimated}
          missing={Object.values(missing)}
          isWrong={isWrong}
          slots={slots.data?.items ?? []}
          onApply={apply}
        >
          <button type="button" class="primary" disabled={submitting.isBusy} onClick={() => void post()}>
            {submitting.isBusy ? "Posting …" : "Post the job"}
          </button>
          <button
            type="button"
            onClick={() => {
              if (check()) setDialog("commands");
            }}
          >
            As a command
          </button>
          <small class="soft new-job-keys">Ctrl + Enter posts it</small>
        </EstimatePanel>
      </form>
      {dialog === "commands" && body && (
        <CommandsDialog body={body} idempotencyKey={submitting.getKey(body)} onClose={() => setDialog(null)} />
      )}
      {dialog === "fit" && (
        <FitDialog
          message={fitMessage}
          changes={estimated.isCurrent ? (estimated.estimate?.changes as Config[] | undefined) : undefined}
          isRefused={isFitRefused}
          onApply={apply}
          onForce={() => void post(true)}
          onClose={() => setDialog(null)}
        />
      )}
      <StaleNotice error={slots.error ?? models.error ?? datasets.error} />
    </FormContext.Provider>
  );
}
