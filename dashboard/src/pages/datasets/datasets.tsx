// The page of the team's datasets: a table, and the area in which files are dropped to upload them.

import { useCallback, useEffect, useState } from "preact/hooks";
import { asError, makeQuery, request } from "../../api/client";
import { usePoll } from "../../api/poll";
import type { Dataset, Page } from "../../api/types";
import { countOf } from "../../lib/format";
import { navigate, type Route } from "../../router";
import { Empty, ErrorBox, Skeleton, StaleNotice } from "../../ui/feedback";
import { Icon } from "../../ui/icons";
import { toast } from "../../ui/toasts";
import { DatasetTable } from "./dataset-table";
import { appendPage, mergeFirstPage } from "./merge-pages";
import "./datasets.css";
import { useStored } from "../../datasets/uploads";
import { DropZone } from "./drop-zone";
import { SendingList } from "./sending-list";

const PAGE_LENGTH = 50;
/** Datasets rarely change, and the reader's own uploads appear at once. */
const POLL_MS = 15_000;

export function DatasetsPage({ route }: { route: Route }) {
  const { data, error, refresh } = usePoll<Page<Dataset>>(`/datasets?limit=${PAGE_LENGTH}`, POLL_MS);
  const [items, setItems] = useState<Dataset[]>([]);
  const [cursor, setCursor] = useState<string | null | undefined>(undefined);
  const [isLoadingMore, setLoadingMore] = useState(false);
  const search = route.query.get("search") ?? "";

  useEffect(() => {
    if (data) setItems((known) => mergeFirstPage(known, data.items, data.next_cursor === null));
  }, [data]);
  useStored(refresh);

  const nextCursor = cursor === undefined ? (data?.next_cursor ?? null) : cursor;
  async function loadMore(): Promise<void> {
    setLoadingMore(true);
    try {
      const page = await request<Page<Dataset>>(
        "GET",
        `/datasets${makeQuery({ limit: PAGE_LENGTH, cursor: nextCursor })}`,
      );
      setItems((known) => appendPage(known, page.items));
      setCursor(page.next_cursor);
    } catch (caught) {
      toast("failed", asError(caught).message);
    } finally {
      setLoadingMore(false);
    }
  }

  const onDeleted = useCallback(
    (dataset: Dataset) => {
      setItems((known) => known.filter((item) => item.id !== dataset.id));
      toast("done", `"${dataset.name}" was deleted.`);
      refresh();
    },
    [refresh],
  );

  const wanted = search.trim().toLowerCase();
  const shown = items.filter((item) => `${item.name} ${item.id} ${item.axes.join(" ")}`.toLowerCase().includes(wanted));
  return (
    <>
      <StaleNotice error={data ? error : undefined} />
      <div class="page-head">
        <h1>Datasets</h1>
        <label class="datasets-search">
          <span class="hidden-text">Search the datasets shown</span>
          <Icon name="search" />
          <input
            type="search"
            placeholder="Search by name"
            value={search}
            onInput={(event) => navigate("/datasets", { search: event.currentTarget.value }, { replace: true })}
          />
        </label>
      </div>
      <div class="stack">
        <DropZone />
        <SendingList />
        {!data &&
          (error ? (
            <ErrorBox error={error} />
          ) : (
            <div class="card">
              <Skeleton />
            </div>
          ))}
        {data && items.length === 0 && (
          <div class="card">
            <Empty icon="datasets" title="There are no datasets yet">
              <p>Drop a file with chats above: it is checked line by line, and then jobs can train on it.</p>
            </Empty>
          </div>
        )}
        {data && items.length > 0 && (
          <section class="card" aria-label="Datasets">
            <DatasetTable datasets={shown} onDeleted={onDeleted} />
            {shown.length === 0 && (
              <p class="datasets-none">No match among the {countOf(items.length, "dataset")} shown.</p>
            )}
            {nextCursor !== null && (
              <footer class="datasets-more">
                <button type="button" disabled={isLoadingMore} onClick={() => void loadMore()}>
                  {isLoadingMore ? "Loading …" : "Show more"}
                </button>
                <span class="soft">{countOf(items.length, "dataset")} shown, older ones follow</span>
              </footer>
            )}
          </section>
        )}
      </div>
    </>
  );
}
