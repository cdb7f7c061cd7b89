"""`emotune garbage`: shows or deletes what is no longer needed or has expired."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import structlog

from cli.database import open_database
from jobs.clock import utc_now
from jobs.files.storage import open_storage
from jobs.runs.retention import KeepRules
from jobs.settings import MIB, Settings
from worker.housekeeping.garbage import carry_out
from worker.housekeeping.garbage_plan import Deletion, plan_garbage

NO_TEAM = "-"


def run_garbage(settings: Settings, *, delete: bool, as_json: bool) -> None:
    """Print the deletions, and carry them out if `delete`. Raises DatabaseUnusable and OSError."""
    # No log lines: each deletion is printed below.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    storage = open_storage(settings)
    with open_database(settings) as database:
        plan = plan_garbage(database, storage, KeepRules.of(settings), now=utc_now())
        if delete:
            plan = carry_out(database, storage, plan)
    print(render_json(plan, is_done=delete) if as_json else render_lines(plan, is_done=delete))


def render_lines(plan: Sequence[Deletion], *, is_done: bool) -> str:
    """Return a line for each deletion, then the sums by rule and team."""
    if not plan:
        return "nothing to delete"
    lines = [_describe(deletion) for deletion in plan]
    lines += ["", *_sum_up(plan), f"{'deleted' if is_done else 'to delete'}: {_measure(plan)}"]
    if not is_done:
        lines.append("this was a dry run: `emotune garbage --delete` deletes it")
    return "\n".join(lines)


def render_json(plan: Sequence[Deletion], *, is_done: bool) -> str:
    content: dict[str, Any] = {
        "is_deleted": is_done,
        "size_bytes": sum(deletion.size_bytes for deletion in plan),
        "deletions": [asdict(deletion) for deletion in plan],
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def _describe(deletion: Deletion) -> str:
    names = f" ({', '.join(deletion.names)})" if deletion.names else ""
    what = f"{deletion.subject}{names}"
    return f"{deletion.rule:<20} {deletion.team or NO_TEAM}  {what}  {_measure([deletion])}: {deletion.reason}"


def _sum_up(plan: Sequence[Deletion]) -> list[str]:
    groups: dict[tuple[str, str], list[Deletion]] = defaultdict(list)
    for deletion in plan:
        groups[deletion.rule, deletion.team or NO_TEAM].append(deletion)
    return [f"{rule:<20} {team}  {len(group):,} times, {_measure(group)}" for (rule, team), group in groups.items()]


def _measure(plan: Sequence[Deletion]) -> str:
    size_bytes, row_count = sum(each.size_bytes for each in plan), sum(each.row_count for each in plan)
    rows = f" and {row_count:,} rows" if row_count else ""
    return f"{size_bytes / MIB:,.1f} MiB{rows}"
