"""Checks that the migrations make exactly the tables of jobs/models.py, and that each goes up, down and up again.

On SQLite in a temporary folder, and also on the database of EMOTUNE_DATABASE_URL where that is set. Exits 1 with the
difference.
"""

import os
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from cli.migrate import make_alembic_config
from jobs.database import Database


def check(url: str) -> None:
    """Raises alembic.util.CommandError when the schema would change."""
    config = make_alembic_config()
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions("base", "heads")]
    database = Database(url)

    def run(verb: str, revision: str | None = None) -> None:
        with database.engine.begin() as connection:
            config.attributes["connection"] = connection
            getattr(command, verb)(config, *([] if revision is None else [revision]))

    for revision in reversed(revisions):
        run("upgrade", revision)
        run("downgrade", "-1")
        run("upgrade", revision)
    run("check")
    run("downgrade", "base")
    database.close()
    print(f"{database.engine.dialect.name}: {len(revisions)} migrations go up, down and up again")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="emotune-migrations-") as folder:
        check(f"sqlite:///{Path(folder) / 'emotune.db'}")
    if url := os.environ.get("EMOTUNE_DATABASE_URL"):
        check(url)


if __name__ == "__main__":
    main()
