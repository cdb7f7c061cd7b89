"""`emotune queue`: which jobs wait, where and why; and the operator's changes to the queue."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from cli.errors import CliError

queue = typer.Typer(no_args_is_help=True, help="The queue. Changing it needs an operator's key.")

JobId = Annotated[str, typer.Argument(help="The job's id.")]


class PlaceUnclear(CliError):
    """Give --to PLACE, or --unpin to return the job to the queue's own order."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@queue.command("show")
def show() -> None:
    """List the waiting jobs in order. Jobs of other teams are counted and not shown."""
    from cli.commands import open_client

    offset: int | None = 0
    with open_client() as client:
        while offset is not None:
            page = client.read_queue(offset)
            for entry in page["items"]:
                if entry["job"] is not None:
                    print(describe_entry(entry))
            offset = page["next_offset"]
    print(f"{page['total_count']} jobs wait")


@queue.command("hold")
def hold(job_id: JobId, reason: Annotated[str, typer.Option(help="The reason, which its team sees.")]) -> None:
    """Hold a waiting job, so that no slot takes it."""
    from cli.commands import open_client

    with open_client() as client:
        print(describe_entry(client.hold_job(job_id, reason)))


@queue.command("preempt")
def preempt(job_id: JobId) -> None:
    """Have a running job save a checkpoint, give up its slot, and wait again."""
    from cli.commands import ask_of_job

    ask_of_job(job_id, "preempt")


@queue.command("release")
def release(job_id: JobId) -> None:
    """Release a held job."""
    from cli.commands import open_client

    with open_client() as client:
        print(describe_entry(client.release_job(job_id)))


@queue.command("move")
def move(
    job_id: JobId,
    to: Annotated[int | None, typer.Option(min=1, help="Its new place; 1 is next.")] = None,
    unpin: Annotated[bool, typer.Option("--unpin", help="Return it to the queue's own order.")] = False,
) -> None:
    """Move a waiting job to a place in the queue."""
    from cli.commands import open_client

    if (to is None) != unpin:
        raise PlaceUnclear
    with open_client() as client:
        print(describe_entry(client.move_job(job_id, to)))


def describe_entry(entry: Mapping[str, Any]) -> str:
    """Describe an entry of the queue in one line."""
    job = entry["job"]
    place = entry["position"] or "-"
    start = f"  starts about {entry['starts_at'][:16]} UTC" if entry["starts_at"] else ""
    pin = " pinned" if job["is_pinned"] else ""
    head = f"{place:>5}  {job['id']}  {job['team']}  {job['priority_class']}{pin}  {job['name']}"
    return f"{head}  {entry['reason']['message']}{start}"
