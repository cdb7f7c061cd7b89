"""The documentation is true: schemathesis sends requests that the schema allows, and many that it does not."""

import re
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from schemathesis import Case
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.types import Receive, Scope, Send

from api.main import create_app
from emomodel.config import PRESETS, TrainConfig
from jobs.files.keys import ID_FORM
from jobs.settings import Settings
from tests.unit.conftest import TestTeam

ROOT = Path(__file__).resolve().parents[3]
OPERATIONS: dict[tuple[str, str], dict[str, Any]] = {
    (method, path): operation
    for path, operations in create_app(Settings()).openapi()["paths"].items()
    for method, operation in operations.items()
}
schemathesis.serializer.alias("application/jsonl", "application/octet-stream")

# pytest-timeout ends a test that hangs. This number of examples of each operation takes half a minute in all.
EXAMPLES = 20

# A schema can't say which base models the operator listed and what a dataset's lines look like. "Not ready" is a
# finding of the probe, not a fault.
EXCLUDED_CHECKS: dict[str, list[CheckFunction]] = {
    "POST /jobs": [positive_data_acceptance],
    "POST /jobs:estimate": [positive_data_acceptance],
    "POST /datasets": [positive_data_acceptance],
    "POST /datasets:validate": [positive_data_acceptance],
    "POST /uploads": [positive_data_acceptance],
    "GET /datasets/{dataset_id}/statistics": [positive_data_acceptance],
    "GET /datasets/{dataset_id}/preview": [positive_data_acceptance],
    "GET /health/ready": [not_a_server_error],
}


class CurrentApp:
    """Passes each request to the app of the current test, since the schema is read when tests are collected."""

    def __init__(self) -> None:
        self.app = create_app(Settings())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


current = CurrentApp()
# The schema is read without starting the app, which would need a database.
schema = schemathesis.openapi.from_dict(current.app.openapi())
schema.app = current


@schema.parametrize()
@hypothesis_settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
def test_the_app_does_what_its_schema_says(
    case: Case[Any], app: FastAPI, anonymous: TestClient, team: TestTeam, job_id: str, dataset_id: str
) -> None:
    # The fixture `anonymous` has started the app.
    current.app = app
    # Random ids exist nowhere, so half of the requests use ids that exist.
    for name, known in (("job_id", job_id), ("dataset_id", dataset_id)):
        value = case.path_parameters.get(name)
        if ID_FORM.fullmatch(str(value)) and ord(str(value)[-1]) % 2:
            case.path_parameters[name] = known
    case.call_and_validate(headers=team.headers, excluded_checks=EXCLUDED_CHECKS.get(case.operation.label))


def test_every_call_is_in_the_guide_and_no_other() -> None:
    guide = (ROOT / "docs" / "api.md").read_text()
    described = set(re.findall(r"^### `([A-Z]+ /\S+)`$", guide, re.MULTILINE))
    assert described == {f"{method.upper()} {path}" for method, path in OPERATIONS}


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_is_described_for_people_and_programs(method: str, path: str) -> None:
    operation = OPERATIONS[method, path]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation["operationId"])
    assert operation["description"]
    assert len(operation["tags"]) == 1
    for status, response in operation["responses"].items():
        # The framework's own shape of errors would be a second one.
        assert "HTTPValidationError" not in str(response)
        if int(status) >= 400 and path != "/health/ready":
            assert "ErrorBody" in str(response)


def test_operation_ids_are_distinct() -> None:
    assert len({operation["operationId"] for operation in OPERATIONS.values()}) == len(OPERATIONS)


def test_a_request_for_a_job_shows_presets_and_every_hyperparameter() -> None:
    models = create_app(Settings()).openapi()["components"]["schemas"]
    asked = models["JobCreate"]["properties"]
    assert (asked["preset"]["enum"], asked["preset"]["default"]) == (list(PRESETS), "default")
    assert "TrainConfig" in str(asked["config"])
    assert set(models["TrainConfig"]["properties"]) == set(TrainConfig.model_fields)
    assert "required" not in models["TrainConfig"]
