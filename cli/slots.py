"""`emotune slots`: the GPUs and CPUs of an installation, what they are doing, and the operator's drain."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from jobs.settings import GIB

slots = typer.Typer(help="The slots that run jobs; without a command they are listed.")

SlotName = Annotated[str, typer.Argument(help="The slot's name, as `emotune slots` shows it.")]


@slots.callback(invoke_without_command=True)
def list_all(context: typer.Context) -> None:
    """List all slots and what they are doing."""
    if context.invoked_subcommand is not None:
        return
    from cli.commands import open_client

    with open_client() as client:
        for slot in client.list_slots():
            print(describe_slot(slot))


@slots.command()
def drain(name: SlotName) -> None:
    """Keep new jobs off a slot; a running one continues. Needs an operator's key."""
    from cli.commands import open_client

    with open_client() as client:
        print(describe_slot(client.drain_slot(name)))


@slots.command()
def resume(name: SlotName) -> None:
    """Let jobs start on a slot again. Needs an operator's key."""
    from cli.commands import open_client

    with open_client() as client:
        print(describe_slot(client.resume_slot(name)))


def describe_slot(slot: Mapping[str, Any]) -> str:
    """Describe a slot in one line, with a second one for the reason if it is blocked."""
    status = slot["status"]
    if slot["drained_at"] is not None and status != "drained":
        status += ", to be drained"
    facts = [f"{slot['name']}: {status}", f"{slot['gpu_name'] or slot['device']} on {slot['host']}"]
    if slot["memory_bytes"] is not None:
        used = "" if slot["memory_used_bytes"] is None else f"{slot['memory_used_bytes'] / GIB:.1f} of "
        facts.append(f"{used}{slot['memory_bytes'] / GIB:.1f} GiB")
    for name, unit in (("utilization_percent", "%"), ("temperature_celsius", "°C"), ("power_watts", "W")):
        if slot[name] is not None:
            facts.append(f"{slot[name]:.0f} {unit}")
    if slot["job"] is not None:
        facts.append(f"job {slot['job']['id']} ({slot['job']['name']})")
    # An API of the previous release doesn't send this field.
    if slot.get("is_other_release"):
        facts.append(f"release {slot['emotune_version'] or 'unknown'}, not the API's")
    line = ", ".join(facts)
    return line if slot["blocked_reason"] is None else f"{line}\n  {slot['blocked_reason']}"
