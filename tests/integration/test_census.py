"""The census on both databases counts each run once, also one that ends while the census is taken."""

from pathlib import Path

from sqlalchemy import select

from cli.migrate import migrate
from jobs.database.engine import Database
from jobs.models import Team
from jobs.runs import claims
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.settings import Settings
from jobs.telemetry.census import take_census
from tests.support.posting import post_job
from tests.unit.conftest import make_dataset, make_team


def test_a_census_sees_one_moment(tmp_path: Path, database_url: str | None) -> None:
    settings = Settings(data_dir=tmp_path / "data", database_url=database_url)
    migrate(settings)
    database = Database(settings.sqlalchemy_url)
    team = make_team(database, "reds")
    dataset = make_dataset(database, team)
    with database.write() as session:
        job = post_job(session, dataset, name="warm")
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
    with database.read_moment() as session:
        session.execute(select(Team.id)).all()
        with database.write() as other:
            run_ends.fail(other, job_id=job.id, attempt=1, end=RunEnd(1, "worker_error", "?"))
        before = take_census(session, seen_within_seconds=30)
    with database.read_moment() as session:
        after = take_census(session, seen_within_seconds=30)
    database.close()
    counts = [
        (dict(census.teams[0].jobs), census.failed_runs["worker_error"], census.failed_jobs["worker_error"])
        for census in (before, after)
    ]
    assert counts == [({"running": 1}, 0, 0), ({"failed": 1}, 1, 1)]
