"""Checks of the API, over HTTP like any client."""

from typing import Any

import httpx2

from cli.doctor.findings import Finding, fail, ok, warn


def check_api(client: httpx2.Client, *, own_version: str) -> list[Finding]:
    """Check that the API answers, is of this release, accepts the key, and is ready."""
    try:
        schema: dict[str, Any] = client.get("/openapi.json").json()
        team = client.get("/team")
        ready: dict[str, Any] = client.get("/health/ready").json()
        return [_judge_version(schema["info"]["version"], own_version), _judge_key(team), _judge_readiness(ready)]
    except httpx2.TransportError as error:
        advice = "Start it (`emotune api` or `emotune up`), or check EMOTUNE_URL."
        return [fail("api", f"{client.base_url} can't be reached: {error}.", advice)]
    except (ValueError, LookupError, TypeError):
        return [
            fail("api", f"{client.base_url} is not emotune's API.", "Check EMOTUNE_URL, and the proxy in front of it.")
        ]


def _judge_version(theirs: str, own: str) -> Finding:
    if theirs == own:
        return ok("api", f"It answers, and is of this release ({own}).")
    advice = "Install one release everywhere, and restart API and workers."
    return warn("api", f"It is of release {theirs}, and this is {own}.", advice)


def _judge_key(team: httpx2.Response) -> Finding:
    if team.is_success:
        return ok("api key", f"It acts for the team {team.json()['name']}.")
    advice = "emotune keys create --team NAME, and set EMOTUNE_API_KEY."
    return fail("api key", f"It is refused: {team.json()['error']['message']}", advice)


def _judge_readiness(ready: dict[str, Any]) -> Finding:
    if ready["status"] == "ready":
        return ok("api readiness", "It has all that it needs.")
    advice = "The other lines say more; this one is as the API's machine sees it."
    return warn("api readiness", ready["error"]["message"], advice)
