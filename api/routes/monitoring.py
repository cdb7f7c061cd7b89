"""The metrics that Prometheus scrapes."""

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from api.access import ScrapeDep
from api.deps import ServicesDep
from api.errors import error_responses

router = APIRouter(tags=["monitoring"], responses=error_responses(401, 403))


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "The metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def get_monitoring_metrics(_allowed: ScrapeDep, services: ServicesDep) -> Response:
    """For operators: return the installation's metrics in Prometheus' text format."""
    return Response(generate_latest(services.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)
