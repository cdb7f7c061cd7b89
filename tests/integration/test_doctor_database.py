"""What the doctor checks in the database itself, on both kinds of database."""

from pathlib import Path

from cli.doctor import examination, rows
from cli.doctor.findings import Health
from cli.migrate import migrate
from jobs.database.engine import Database
from jobs.settings import Settings


def test_schema_and_clock_are_read_from_either_database(tmp_path: Path, database_url: str | None) -> None:
    settings = Settings(data_dir=tmp_path / "data", database_url=database_url)
    empty = {finding.check: finding.health for finding in examination.examine_database(settings)}
    # SQLite's file isn't there yet, and PostgreSQL's database has no tables.
    assert empty["sqlite" if database_url is None else "schema"] is Health.FAILED
    migrate(settings)
    database = Database(settings.sqlalchemy_url)
    found = [rows.check_database(database), rows.check_schema(database), rows.check_clock(database)]
    database.close()
    assert [finding.health for finding in found] == [Health.OK] * 3, found
    migrated = {finding.check: finding.health for finding in examination.examine_database(settings)}
    assert (migrated["leases"], migrated["failures"], migrated["slots"]) == (Health.OK, Health.OK, Health.FAILED)
