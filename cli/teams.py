"""`emotune teams`: the own team's share and quotas; those of all teams for the operator."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from cli.errors import CliError
from jobs.priorities import PriorityClass

teams = typer.Typer(no_args_is_help=True, help="Teams, their shares and quotas.")

# Removes a quota.
NO_BOUND = "none"

Quota = Annotated[str | None, typer.Option(help=f"A number, or `{NO_BOUND}`.")]


class QuotaUnreadable(CliError):
    """A quota is neither a number nor `none`."""


@teams.command("own")
def show_own() -> None:
    """Show your team's share, usage and quotas."""
    from cli.commands import open_client

    with open_client() as client:
        print(describe_team(client.get_own_team()))


@teams.command("list")
def list_all() -> None:
    """List all teams. Needs an operator's key."""
    from cli.commands import open_client

    with open_client() as client:
        for team in client.list_teams():
            print(describe_team(team))


@teams.command("set")
def change(
    name: Annotated[str, typer.Argument(help="The team's name or id.")],
    weight: Annotated[float | None, typer.Option(help="Its share, relative to the others' weights.")] = None,
    max_running: Quota = None,
    max_queued: Quota = None,
    max_slot_seconds: Quota = None,
    max_priority_class: Annotated[
        PriorityClass | None, typer.Option(help="The highest class that its jobs may have.")
    ] = None,
) -> None:
    """Change a team's weight and quotas. Needs an operator's key."""
    from cli.commands import open_client

    changes: dict[str, Any] = {}
    if weight is not None:
        changes["weight"] = weight
    if max_priority_class is not None:
        changes["max_priority_class"] = max_priority_class
    if max_running is not None:
        changes["max_running"] = read_quota(max_running, int)
    if max_queued is not None:
        changes["max_queued"] = read_quota(max_queued, int)
    if max_slot_seconds is not None:
        changes["max_slot_seconds"] = read_quota(max_slot_seconds, float)
    with open_client() as client:
        print(describe_team(client.change_team(name, changes)))


def read_quota(text: str, kind: type[int] | type[float]) -> float | None:
    """Return the number, or None for no limit. Raises QuotaUnreadable."""
    if text == NO_BOUND:
        return None
    try:
        return kind(text)
    except ValueError:
        raise QuotaUnreadable(f"{text!r} is neither a number nor `{NO_BOUND}`") from None


def describe_team(team: Mapping[str, Any]) -> str:
    """Describe a team in a few lines."""

    def bound(value: float | None) -> str:
        return "" if value is None else f" of {value:,.0f}"

    return (
        f"{team['name']}  weight {team['weight']:g}: "
        f"share {team['share']:.0%}, recently used {team['used_share']:.0%}\n"
        f"  running {team['running_count']}{bound(team['max_running'])}, "
        f"waiting {team['queued_count']}{bound(team['max_queued'])}, "
        f"slot seconds {team['window_seconds']:,.0f}{bound(team['max_slot_seconds'])}, "
        f"classes up to {team['max_priority_class']}"
    )
