// Loads the examples of a dataset as a training reads them, page by page, from the beginning or from a line.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, asError, makeQuery, request } from "../../api/client";
import type { Preview, PreviewExample } from "../../api/types";
import { findOffset } from "./find-offset";

const PAGE_LENGTH = 10;

export interface PreviewQuery {
  datasetId: string;
  exampleCount: number;
  baseModel: string;
  maxLength: number;
  emotionSpan: string;
}

export interface Examples {
  items: PreviewExample[];
  /** The offset of the next page; null at the end, undefined before the first answer. */
  nextOffset: number | null | undefined;
  error: ApiError | undefined;
  isLoading: boolean;
  /** The line that the shown examples begin at; null if they begin at the first line. */
  firstLine: number | null;
  loadMore: () => void;
  /** Shows the examples from this line on; null: from the beginning. */
  goTo: (line: number | null) => void;
}

export function usePreview({ datasetId, exampleCount, baseModel, maxLength, emotionSpan }: PreviewQuery): Examples {
  const [items, setItems] = useState<PreviewExample[]>([]);
  const [nextOffset, setNextOffset] = useState<number | null | undefined>(undefined);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const [isLoading, setLoading] = useState(true);
  const [firstLine, setFirstLine] = useState<number | null>(null);
  const abort = useRef(new AbortController());

  const load = useCallback(
    async (begin: (ask: (offset: number, limit: number) => Promise<Preview>) => Promise<number>, isFresh: boolean) => {
      abort.current.abort();
      abort.current = new AbortController();
      const { signal } = abort.current;
      const ask = (offset: number, limit: number) =>
        request<Preview>(
          "GET",
          `/datasets/${datasetId}/preview${makeQuery({ base_model: baseModel, offset, limit, max_length: maxLength, emotion_span: emotionSpan })}`,
          { signal },
        );
      setLoading(true);
      setError(undefined);
      try {
        const page = await ask(await begin(ask), PAGE_LENGTH);
        setItems((known) => (isFresh ? page.items : [...known, ...page.items]));
        setNextOffset(page.next_offset);
      } catch (caught) {
        if (signal.aborted) return;
        setError(asError(caught));
      }
      if (!signal.aborted) setLoading(false);
    },
    [datasetId, baseModel, maxLength, emotionSpan],
  );

  const goTo = useCallback(
    (line: number | null) => {
      setFirstLine(line);
      void load(async (ask) => {
        if (line === null) return 0;
        // An example's line number gives its index, unless there are blank lines before it.
        return findOffset(line, exampleCount, async (offset) => (await ask(offset, 1)).items[0]?.line ?? null);
      }, true);
    },
    [load, exampleCount],
  );

  // Another model or length shows the same examples again.
  const place = useRef<number | null>(null);
  place.current = firstLine;
  useEffect(() => goTo(place.current), [goTo]);
  useEffect(() => () => abort.current.abort(), []);

  const loadMore = useCallback(() => {
    if (typeof nextOffset === "number") void load(async () => nextOffset, false);
  }, [load, nextOffset]);

  return { items, nextOffset, error, isLoading, firstLine, loadMore, goTo };
}
