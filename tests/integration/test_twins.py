"""The same request from many clients at once, on each database: the constraint decides, and not the timing."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from fastapi.testclient import TestClient

from api.main import create_app
from cli.migrate import migrate
from jobs.access.teams import create_key, get_or_create_team
from jobs.database.engine import Database
from jobs.settings import Settings

TWINS = 12
LINE = (
    '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "<emo joy=1>Hello!</emo>"}]}\n'
)


def test_twins_make_one_job(tmp_path: Path, database_url: str | None) -> None:
    settings = Settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        base_models={"gemma": "owner/gemma"},
        min_free_disk_bytes=0,
    )
    migrate(settings)
    database = Database(settings.sqlalchemy_url)
    with database.write() as session:
        _, secret = create_key(session, team=get_or_create_team(session, name="twins"), name="all")
    database.close()
    start = Barrier(TWINS)
    with TestClient(create_app(settings), headers={"Authorization": f"Bearer {secret}"}) as client:
        dataset_id = client.post("/datasets?name=chats", content=LINE).json()["id"]

        def post(_: int) -> tuple[int, str]:
            start.wait()
            body = {"dataset_id": dataset_id, "base_model": "gemma"}
            response = client.post("/jobs", json=body, headers={"Idempotency-Key": "once"})
            return response.status_code, response.json()["id"]

        with ThreadPoolExecutor(TWINS) as pool:
            answers = list(pool.map(post, range(TWINS)))
    assert sorted(status for status, _ in answers) == [200] * (TWINS - 1) + [201]
    assert len({job_id for _, job_id in answers}) == 1
