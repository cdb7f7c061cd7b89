// What the API's own document says of TrainConfig: names, defaults and descriptions. Read once for all pages.

import { request } from "../../../api/client";
import type { OpenApi } from "../../../lib/config-fields";

export interface ConfigDoc {
  name: string;
  default: unknown;
  description: string;
}

let found: Promise<ConfigDoc[]> | null = null;

/** In the document's order. Throws ApiError; the next call then tries again. */
export function loadConfigDocs(): Promise<ConfigDoc[]> {
  found ??= request<OpenApi>("GET", "/openapi.json")
    .then(({ components }) =>
      Object.entries(components.schemas.TrainConfig?.properties ?? {}).map(([name, field]) => ({
        name,
        // What may be left out and has no default stands for null.
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
