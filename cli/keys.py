"""`emotune keys`: makes, lists and revokes API keys, directly in the database."""

from typing import Annotated

import typer

from cli.processes import keep_private
from jobs.settings import load_settings

keys = typer.Typer(no_args_is_help=True, callback=keep_private, help="API keys: each acts for one team.")


@keys.command("create")
def create(
    team: Annotated[str, typer.Option(help="The team; it is made if it doesn't exist.")] = "default",
    name: Annotated[str, typer.Option(help="What the key is for.")] = "unnamed",
    is_operator: Annotated[
        bool, typer.Option("--operator", help="Make an operator's key, which also acts on queue, slots and all teams.")
    ] = False,
) -> None:
    """Make a key. Its secret is shown only once."""
    from cli.database import open_database
    from jobs.access.teams import create_key, get_or_create_team

    with open_database(load_settings()) as database, database.write() as session:
        key, secret = create_key(
            session, team=get_or_create_team(session, name=team), name=name, is_operator=is_operator
        )
        key_id = key.id
    print(f"{key_id}  team {team}  {name}{'  operator' if is_operator else ''}\n{secret}")


@keys.command("list")
def list_all() -> None:
    """Show all keys, without their secrets."""
    from cli.database import open_database
    from jobs.access.teams import list_keys

    with open_database(load_settings()) as database, database.read() as session:
        for key in list_keys(session):
            status = "revoked" if key.revoked_at else "active"
            used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
            role = "  operator" if key.is_operator else ""
            print(f"{key.id}  {key.prefix}...  team {key.team.name}  {key.name}{role}  {status}  last used {used}")


@keys.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(help="The key's id, as `emotune keys list` shows it.")]) -> None:
    """Revoke a key, permanently and at once."""
    from cli.database import open_database
    from jobs.access.teams import revoke_key

    with open_database(load_settings()) as database, database.write() as session:
        revoke_key(session, key_id=key_id)
    print(f"{key_id} is revoked")
