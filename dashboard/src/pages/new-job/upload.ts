// One file as the body of one request. `fetch` tells nothing of what has been sent; XMLHttpRequest does.

import { ApiError, makeHeaders, makeQuery, readError } from "../../api/client";
import type { Dataset } from "../../api/types";

export interface Upload {
  done: Promise<Dataset>;
  cancel: () => void;
}

/** `done` rejects with ApiError, and with DOMException "AbortError" where it was cancelled. */
export function uploadDataset(file: File, onProgress: (sentBytes: number) => void): Upload {
  const call = new XMLHttpRequest();
  const done = new Promise<Dataset>((resolve, reject) => {
    call.open("POST", `/datasets${makeQuery({ name: file.name.slice(0, 200) })}`);
    for (const [name, value] of Object.entries(makeHeaders("POST"))) call.setRequestHeader(name, value);
    call.setRequestHeader("Content-Type", "application/octet-stream");
    call.upload.onprogress = (event) => onProgress(event.loaded);
    call.onload = () => {
      if (call.status >= 200 && call.status < 300) resolve(JSON.parse(call.responseText) as Dataset);
      else reject(readError(call.status, call.responseText));
    };
    call.onerror = () => reject(new ApiError(0, "unreachable", "The connection broke. Nothing was stored: try again."));
    call.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    call.send(file);
  });
  return { done, cancel: () => call.abort() };
}
