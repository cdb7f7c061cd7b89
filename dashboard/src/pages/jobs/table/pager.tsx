// The buttons for the pages of the table.

import type { JobOverview } from "../../../api/types";
import { describePage, type JobsView } from "../../../lib/jobs-view";
import { Icon } from "../../../ui/icons";
import "./pager.css";

export function Pager({
  view,
  overview,
  onPage,
}: {
  view: JobsView;
  overview: JobOverview;
  onPage: (page: number) => void;
}) {
  const hasNext = overview.next_offset !== null;
  if (view.page === 1 && !hasNext) return null;
  return (
    <nav class="jobs-pager" aria-label="More jobs">
      <span class="soft number">{describePage(view, overview.items.length, overview.total_count)}</span>
      <button type="button" class="small" disabled={view.page === 1} onClick={() => onPage(view.page - 1)}>
        <span class="jobs-back">
          <Icon name="chevron" />
        </span>
        Back
      </button>
      <button type="button" class="small" disabled={!hasNext} onClick={() => onPage(view.page + 1)}>
        Next <Icon name="chevron" />
      </button>
    </nav>
  );
}
