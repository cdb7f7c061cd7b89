"""The dashboard's pages: where they are, and what their headers forbid. Their behaviour is tested in a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.answers.compression import CompressionMiddleware
from api.dashboard import add_dashboard
from api.errors import add_error_handlers
from api.middleware import RequestMiddleware
from api.telemetry.request_meter import RequestMeter

SCRIPT = "export const words = 'many of them';\n" * 100


def make_app(folder: Path) -> FastAPI:
    app = FastAPI(redirect_slashes=False)
    app.add_middleware(CompressionMiddleware)
    app.add_middleware(RequestMiddleware, max_body_bytes=1000, meter=RequestMeter())
    add_error_handlers(app)

    @app.get("/jobs")
    def list_jobs() -> list[str]:
        return []

    add_dashboard(app, folder=folder)
    return app


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[TestClient]:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>emotune</title>")
    (tmp_path / "assets" / "index-Ab12.js").write_text(SCRIPT)
    with TestClient(make_app(tmp_path)) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/index.html", "/?from=mail"])
def test_the_page_runs_nothing_but_scripts_from_here_and_is_looked_up_again(pages: TestClient, path: str) -> None:
    answer = pages.get(path)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    again = pages.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_assets_are_kept_for_long_and_come_packed(pages: TestClient) -> None:
    answer = pages.get("/assets/index-Ab12.js")
    assert answer.text == SCRIPT
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/assets/index-old.js", "/nothing", "/../pyproject.toml", "/jobs/"])
def test_what_is_not_there_is_an_error_and_no_page(pages: TestClient, path: str) -> None:
    answer = pages.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_api_goes_before_the_pages(pages: TestClient) -> None:
    answer = pages.get("/jobs")
    assert answer.json() == []
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_an_api_without_pages_says_how_they_are_built(tmp_path: Path) -> None:
    with TestClient(make_app(tmp_path / "not-built")) as client:
        answer = client.get("/")
    assert answer.status_code == 404
    assert "scripts/build_dashboard.py" in answer.json()["error"]["message"]
