"""The faults that the check of the migrations finds."""

from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from jobs.database.engine import Database
from jobs.database.schema import get_known_schema, make_alembic_config
from scripts.check_migrations import MigrationCheck, MigrationFault

GOOD = ("op.add_column('slot', sa.Column('note', sa.Text(), nullable=True))", "drop('slot', 'note')")


def take_step(database: Database, folder: Path, *, up: str, down: str, more: str = "", with_rows: bool = False) -> None:
    """Check a migration that follows all existing ones."""
    (folder / "next.py").write_text(f"""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "next", "{get_known_schema().head}"
{more}

BARE = {{"server_default": None, "nullable": False, "existing_type": sa.Text()}}

def drop(table, column):
    with op.batch_alter_table(table) as batch:
        batch.drop_column(column)

def alter(table, column, **changes):
    with op.batch_alter_table(table) as batch:
        batch.alter_column(column, **changes)

def upgrade():
    {up}

def downgrade():
    {down}
""")
    config = make_alembic_config()
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", f"{Path(ScriptDirectory.from_config(config).versions)}:{folder}")
    script = ScriptDirectory.from_config(config).get_revision("next")
    assert script is not None
    check = MigrationCheck(database, config)
    if with_rows:
        check.fill()
    check.take_step(script)


def test_a_nullable_column_is_welcome(database: Database, tmp_path: Path) -> None:
    take_step(database, tmp_path, up=GOOD[0], down=GOOD[1])


@pytest.mark.parametrize(
    ("up", "down", "told"),
    [
        (GOOD[0], "pass", "doesn't lead back"),
        (GOOD[0] + "; op.execute('DELETE FROM metric')", GOOD[1], "next up loses the row"),  # noqa: S608 - no query of ours
        (GOOD[0], GOOD[1] + "; op.execute('DELETE FROM artifact')", "next down loses the row"),  # noqa: S608 - no query of ours
        (GOOD[0] + "; op.execute('UPDATE event SET attempt = 7')", GOOD[1], "changes event.attempt"),  # noqa: S608 - no query of ours
    ],
)
def test_lost_data_is_reported(database: Database, tmp_path: Path, up: str, down: str, told: str) -> None:
    with pytest.raises(MigrationFault, match=told):
        take_step(database, tmp_path, up=up, down=down, with_rows=True)


@pytest.mark.parametrize(
    ("up", "down", "told"),
    [
        (
            "drop('run', 'exit_code')",
            "op.add_column('run', sa.Column('exit_code', sa.Integer()))",
            "run.exit_code is gone",
        ),
        (
            "op.add_column('run', sa.Column('x', sa.Text(), server_default='')); alter('run', 'x', **BARE)",
            "drop('run', 'x')",
            "run.x must be given",
        ),
        (
            "op.create_index('only', 'event', ['id', 'kind'], unique=True)",
            "op.drop_index('only', 'event')",
            "event has a new rule: unique id kind",
        ),
        (
            "alter('event', 'message', existing_type=sa.Text(), nullable=True)",
            "alter('event', 'message', existing_type=sa.Text(), nullable=False)",
            "event.message",
        ),
    ],
)
def test_what_breaks_the_release_before_has_to_name_its_oldest_code(
    database: Database, tmp_path: Path, up: str, down: str, told: str
) -> None:
    with pytest.raises(MigrationFault, match=told):
        take_step(database, tmp_path, up=up, down=down)


def test_a_break_that_names_its_oldest_code_is_allowed(database: Database, tmp_path: Path) -> None:
    rule = ("op.create_index('only', 'event', ['id', 'kind'], unique=True)", "op.drop_index('only', 'event')")
    take_step(database, tmp_path, up=rule[0], down=rule[1], more="oldest_code = revision")
