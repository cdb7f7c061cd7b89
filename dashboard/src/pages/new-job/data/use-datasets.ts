// Loads the team's datasets, page by page, and single ones by id.

import { useCallback, useEffect, useState } from "preact/hooks";
import { ApiError, makeQuery, request } from "../../../api/client";
import { usePoll } from "../../../api/poll";
import type { Dataset, Page } from "../../../api/types";

const PAGE_LENGTH = 200;
const POLL_MS = 15_000;

export interface Datasets {
  /** The datasets, newest first; undefined before the first answer. */
  items: Dataset[] | undefined;
  error: ApiError | undefined;
  hasMore: boolean;
  loadMore: () => Promise<void>;
  refresh: () => void;
}

export function useDatasets(): Datasets {
  const { data, error, refresh } = usePoll<Page<Dataset>>(`/datasets?limit=${PAGE_LENGTH}`, POLL_MS);
  const [older, setOlder] = useState<Page<Dataset> | null>(null);
  const cursor = older ? older.next_cursor : (data?.next_cursor ?? null);

  const loadMore = useCallback(async () => {
    if (cursor === null) return;
    const page = await request<Page<Dataset>>("GET", `/datasets${makeQuery({ limit: PAGE_LENGTH, cursor })}`);
    setOlder((before) => ({ items: [...(before?.items ?? []), ...page.items], next_cursor: page.next_cursor }));
  }, [cursor]);

  // After a deletion, the polled first page reaches further back, so that some datasets are in both lists.
  const newest = data?.items;
  const known = new Set(newest?.map((each) => each.id));
  const items = newest && [...newest, ...(older?.items ?? []).filter((each) => !known.has(each.id))];
  return { items, error, hasMore: cursor !== null, loadMore, refresh };
}

export interface FoundDataset {
  dataset: Dataset | undefined;
  isGone: boolean;
}

/** Returns the chosen dataset, even if it is not on a loaded page. */
export function useDataset(id: string, items: Dataset[] | undefined): FoundDataset {
  const listed = items?.find((each) => each.id === id);
  const [found, setFound] = useState<{ id: string; dataset: Dataset | undefined }>();
  const isWanted = id !== "" && items !== undefined && listed === undefined && found?.id !== id;
  useEffect(() => {
    if (!isWanted) return;
    const abort = new AbortController();
    request<Dataset>("GET", `/datasets/${encodeURIComponent(id)}`, { signal: abort.signal })
      .then((dataset) => setFound({ id, dataset }))
      .catch((caught: unknown) => {
        if (caught instanceof ApiError && caught.status === 404) setFound({ id, dataset: undefined });
      });
    return () => abort.abort();
  }, [id, isWanted]);
  const own = found?.id === id ? found : undefined;
  return { dataset: listed ?? own?.dataset, isGone: !listed && own !== undefined && own.dataset === undefined };
}
