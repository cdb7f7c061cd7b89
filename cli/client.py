"""The client of the public HTTP API that the command line uses for everything that concerns jobs."""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2

from cli.credentials import Credentials
from cli.errors import CliError

TIMEOUT_SECONDS = 30
COPY_BYTES = 1024**2

# A poll that fails, for instance while the API restarts, is repeated for this long.
PATIENCE_SECONDS = 60
POLL_SECONDS = 0.5

Json = dict[str, Any]


class ApiError(CliError):
    """The API refused a request, or can't be reached."""

    def __init__(self, message: str, *, code: str = "unreachable", body: Json | None = None) -> None:
        self.code = code
        self.body = body or {}
        super().__init__(message)


class Client:
    """One connection pool to one API. Every method raises ApiError with the API's own message."""

    def __init__(self, credentials: Credentials) -> None:
        self._http = httpx2.Client(
            base_url=credentials.url,
            headers={"Authorization": f"Bearer {credentials.api_key}"},
            timeout=TIMEOUT_SECONDS,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def list_models(self) -> list[Json]:
        models: list[Json] = self._request("GET", "/models")["items"]
        return models

    def upload_dataset(self, path: Path, name: str) -> Json:
        """Upload a file as a stream. Its size is sent first, so the API can refuse one that is too large at once."""
        headers = {"Content-Type": "application/jsonl", "Content-Length": str(path.stat().st_size)}
        with path.open("rb") as stream:
            body = iter(lambda: stream.read(COPY_BYTES), b"")
            return self._request("POST", "/datasets", params={"name": name}, content=body, headers=headers)

    def create_job(self, request: Json, *, idempotency_key: str | None = None) -> Json:
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return self._request("POST", "/jobs", json=request, headers=headers)

    def estimate_job(self, request: Json) -> Json:
        return self._request("POST", "/jobs:estimate", json=request)

    def get_job(self, job_id: str) -> Json:
        return self._request("GET", f"/jobs/{job_id}")

    def ask_of_job(self, job_id: str, verb: str) -> Json:
        """Call one of the verbs that are sub-paths of a job: cancel, pause, resume, checkpoint, preempt."""
        return self._request("POST", f"/jobs/{job_id}/{verb}")

    def list_runs(self, job_id: str) -> list[Json]:
        runs: list[Json] = self._request("GET", f"/jobs/{job_id}/runs")["items"]
        return runs

    def read_queue(self, offset: int = 0) -> Json:
        return self._request("GET", "/queue", params={"offset": offset})

    def hold_job(self, job_id: str, reason: str) -> Json:
        return self._request("POST", f"/queue/{job_id}/hold", json={"reason": reason})

    def release_job(self, job_id: str) -> Json:
        return self._request("POST", f"/queue/{job_id}/release")

    def move_job(self, job_id: str, position: int | None) -> Json:
        return self._request("POST", f"/queue/{job_id}/move", json={"position": position})

    def get_own_team(self) -> Json:
        return self._request("GET", "/team")

    def list_teams(self) -> list[Json]:
        teams: list[Json] = self._request("GET", "/teams")["items"]
        return teams

    def change_team(self, name: str, changes: Json) -> Json:
        return self._request("PATCH", f"/teams/{quote(name, safe='')}", json=changes)

    def create_login_code(self) -> Json:
        return self._request("POST", "/login-codes")

    def list_artifacts(self, job_id: str) -> list[Json]:
        artifacts: list[Json] = self._request("GET", f"/jobs/{job_id}/artifacts")["items"]
        return artifacts

    def read_metrics(self, job_id: str, after: str | None) -> Json:
        return self._request("GET", f"/jobs/{job_id}/metrics", params={} if after is None else {"after": after})

    def list_slots(self) -> list[Json]:
        slots: list[Json] = self._request("GET", "/slots")["items"]
        return slots

    def drain_slot(self, name: str) -> Json:
        return self._request("POST", f"/slots/{quote(name, safe='')}/drain")

    def resume_slot(self, name: str) -> Json:
        return self._request("POST", f"/slots/{quote(name, safe='')}/resume")

    def follow_job(self, job_id: str) -> Iterator[tuple[Json, list[Json]]]:
        """Yield the job and its new metrics repeatedly until it has ended. Survives a restart of the API."""
        after: str | None = None
        last_answer = time.monotonic()
        while True:
            try:
                job = self.get_job(job_id)
                page = self.read_metrics(job_id, after)
            except ApiError as error:
                if error.code != "unreachable" or time.monotonic() - last_answer > PATIENCE_SECONDS:
                    raise
                time.sleep(POLL_SECONDS)
                continue
            last_answer = time.monotonic()
            after = page["next_cursor"] or after
            yield job, page["items"]
            if job["finished_at"] is not None and not page["items"]:
                return
            time.sleep(POLL_SECONDS)

    def download_artifact(self, job_id: str, kind: str, target: Path) -> int:
        """Write the artifact under its final name once its sha256 is verified; returns its size in bytes."""
        artifact = next((item for item in self.list_artifacts(job_id) if item["kind"] == kind), None)
        if artifact is None:
            raise ApiError(f"job {job_id} has no artifact {kind!r} (yet)", code="artifact_not_found")
        if target.is_dir():
            raise ApiError(f"{target} is a folder; give the name of a file", code="target_invalid")
        partial = target.with_name(f".{target.name}.{os.getpid()}.part")
        digest = hashlib.sha256()
        try:
            # Redirects may lead to the object store; the key is not sent to another host.
            download = self._http.stream("GET", f"/jobs/{job_id}/artifacts/{kind}", follow_redirects=True)
            with download as response, partial.open("wb") as stream:
                if not response.is_success:
                    response.read()
                    raise _read_error(response)
                for chunk in response.iter_bytes(COPY_BYTES):
                    stream.write(chunk)
                    digest.update(chunk)
            if digest.hexdigest() != artifact["sha256"]:
                raise ApiError(f"{kind} arrived damaged: its sha256 is not {artifact['sha256']}; download it again")
            partial.replace(target)
        except httpx2.TransportError as error:
            raise ApiError(f"the download broke off: {error}") from error
        finally:
            partial.unlink(missing_ok=True)
        return target.stat().st_size

    def _request(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any) -> Json:
        try:
            response = self._http.request(method, path, headers=headers, **options)
        except httpx2.TransportError as error:
            raise ApiError(f"{self._http.base_url} can't be reached: {error}") from error
        if not response.is_success:
            raise _read_error(response)
        answer: Json = response.json()
        return answer


def _read_error(response: httpx2.Response) -> ApiError:
    try:
        body = response.json()
        error = body["error"]
    except (ValueError, KeyError, TypeError):
        return ApiError(f"the API answered {response.status_code}", code="unreadable")
    field = error.get("field") or ""
    # Most messages name the field themselves.
    where = f" ({field})" if field and field not in error["message"] else ""
    return ApiError(f"{error['message']}{where}", code=error["code"], body=body)
