"""`emotune queue`: who waits, where and why; and the operator's hand on it."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from cli.errors import CliError

queue = typer.Typer(no_args_is_help=True, help="The queue; to change it takes an operator's key.")

JobId = Annotated[str, typer.Argument(help="The job's id.")]


class PlaceUnclear(CliError):
    """Give --to PLACE, or --unpin to give the job back to the queue's own order."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@queue.command("show")
def show() -> None:
    """List what waits, in order. Jobs of other teams are counted and not shown."""
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
def hold(job_id: JobId, reason: Annotated[str, typer.Option(help="Its team reads it.")]) -> None:
    """Let no slot take a waiting job."""
    from cli.commands import open_client

    with open_client() as client:
        print(describe_entry(client.hold_job(job_id, reason)))


@queue.command("preempt")
def preempt(job_id: JobId) -> None:
    """Have a running job save a checkpoint, give its slot away, and wait again."""
    from cli.commands import ask_of_job

    ask_of_job(job_id, "preempt")


@queue.command("release")
def release(job_id: JobId) -> None:
    """Let a held job have its turn again."""
    from cli.commands import open_client

    with open_client() as client:
        print(describe_entry(client.release_job(job_id)))


@queue.command("move")
def move(
    job_id: JobId,
    to: Annotated[int | None, typer.Option(min=1, help="The place that it gets; 1 is next.")] = None,
    unpin: Annotated[bool, typer.Option("--unpin", help="Give it back to the queue's own order.")] = False,
) -> None:
    """Give a waiting job its place."""
    from cli.commands import open_client

    if (to is None) != unpin:
        raise PlaceUnclear
    with open_client() as client:
        print(describe_entry(client.move_job(job_id, to)))


def describe_entry(entry: Mapping[str, Any]) -> str:
    """A place in the queue as one line."""
    job = entry["job"]
    place = entry["position"] or "-"
    start = f"  starts about {entry['starts_at'][:16]} UTC" if entry["starts_at"] else ""
    pin = " pinned" if job["is_pinned"] else ""
    head = f"{place:>5}  {job['id']}  {job['team']}  {job['priority_class']}{pin}  {job['name']}"
    return f"{head}  {entry['reason']['message']}{start}"
