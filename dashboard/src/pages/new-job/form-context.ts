// What the parts of the form share.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Config, ConfigField, ConfigValue } from "../../lib/config-fields";
import type { JobForm } from "./job-form";

export interface FormControl {
  form: JobForm;
  fields: ConfigField[];
  /** The preset's values: what a field has that nobody touched. */
  base: Config;
  /** What the form stands for now. */
  values: Config;
  /** The job that this one is a copy of, to mark what differs. */
  original: { name: string; config: Record<string, unknown> } | null;
  /** Whether posting was tried: from then on all that is wrong or missing is shown. */
  isTried: boolean;
  change: (changes: Partial<JobForm>) => void;
  /** Undefined: back to the preset's value. */
  setDraft: (name: string, draft: ConfigValue | undefined) => void;
  /** What is wrong with a field: as typed, or as the server said. */
  getProblem: (name: string, isLeft?: boolean) => string;
}

export const FormContext = createContext<FormControl | null>(null);

export function useForm(): FormControl {
  const control = useContext(FormContext);
  if (control === null) throw new Error("a part of the form is shown outside of it");
  return control;
}
