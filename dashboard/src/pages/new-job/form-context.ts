// The state that the parts of the form share.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Config, ConfigField, ConfigValue } from "../../lib/config-fields";
import type { JobForm } from "./job-form";

export interface FormControl {
  form: JobForm;
  fields: ConfigField[];
  /** The preset's values, which the fields have until they are changed. */
  base: Config;
  /** The current values of the form. */
  values: Config;
  /** The original of a copied job, to mark the differences. */
  original: { name: string; config: Record<string, unknown> } | null;
  /** Whether posting was tried; after that, all wrong and missing fields are shown. */
  isTried: boolean;
  change: (changes: Partial<JobForm>) => void;
  /** Sets the draft of a field; undefined resets it to the preset's value. */
  setDraft: (name: string, draft: ConfigValue | undefined) => void;
  /** Returns what is wrong with a field, by the form's own check or by the server's answer. */
  getProblem: (name: string, isLeft?: boolean) => string;
}

export const FormContext = createContext<FormControl | null>(null);

export function useForm(): FormControl {
  const control = useContext(FormContext);
  if (control === null) throw new Error("a part of the form is rendered outside the form");
  return control;
}
