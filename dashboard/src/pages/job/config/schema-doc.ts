// Reads names, defaults and descriptions of TrainConfig from the API's own document, once for all pages.

import { request } from "../../../api/client";
import type { OpenApi } from "../../../lib/config-fields";

export interface ConfigDoc {
  name: string;
  default: unknown;
  description: string;
}

let found: Promise<ConfigDoc[]> | null = null;

/** Returns the fields in the order of the document. Throws ApiError; the next call then tries again. */
export function loadConfigDocs(): Promise<ConfigDoc[]> {
  found ??= request<OpenApi>("GET", "/openapi.json")
    .then(({ components }) =>
      Object.entries(components.schemas.TrainConfig?.properties ?? {}).map(([name, field]) => ({
        name,
        // An optional field without a default has the value null.
        default: field.default ?? null,
        description: field.description ?? "",
      })),
    )
    .catch((error: unknown) => {
      found = null;
      throw error;
    });
  return found;
}
