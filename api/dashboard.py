"""The dashboard's pages, which are built from dashboard/ into api/static/, and the headers that pages need."""

from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException

STATIC_FOLDER = Path(__file__).parent / "static"

# Scripts, styles and pictures come from this origin only, and no inline script is run.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# A JSON answer is not a page: where a browser shows it as one, it may load nothing.
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
# The names of assets contain a digest of their content.
_ASSETS = "/assets/"
_YEAR_SECONDS = 365 * 24 * 3600


def add_dashboard(app: FastAPI, *, folder: Path = STATIC_FOLDER) -> None:
    """Serve the pages at `/`; the address of a page is behind `#`, so that no path is taken from the API."""
    if (folder / "index.html").is_file():
        app.frontend("/", directory=folder, fallback=None)
        return

    @app.get("/", include_in_schema=False)
    async def explain() -> None:
        raise HTTPException(
            404, "The dashboard is not built: run `python scripts/build_dashboard.py`. The API works without it."
        )


def get_page_headers(path: str, status: int) -> dict[str, str]:
    """Return the headers that an answer has unless its route sets others."""
    if path in ("/", "/index.html"):
        return {
            "Cache-Control": "no-cache",
            "Content-Security-Policy": _PAGE_POLICY,
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
        }
    if path.startswith(_ASSETS) and status in (200, 206, 304):
        return {
            "Cache-Control": f"public, max-age={_YEAR_SECONDS}, immutable",
            "Content-Security-Policy": _DATA_POLICY,
        }
    return {"Cache-Control": "no-store", "Content-Security-Policy": _DATA_POLICY}
