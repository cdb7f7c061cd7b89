"""Slots: what each is and does; operators drain and resume them."""

from fastapi import APIRouter, BackgroundTasks, Request, Response

from api.access import AccessDep, OperatorDep
from api.answers import etags
from api.deps import DatabaseDep, DoorbellDep, SettingsDep, SlotNamePath
from api.errors import error_responses
from api.schemas.base import Items
from api.schemas.slots import SlotRead
from jobs.runs import slots

router = APIRouter(tags=["slots"], responses=error_responses(401))


@router.get("/slots", response_model=Items[SlotRead], responses=etags.TAGGED)
def list_slots(request: Request, access: AccessDep, settings: SettingsDep) -> Response:
    """List all slots that were ever seen, by name: what each is, and what it is doing."""
    with access.read() as (session, caller):
        views = slots.list_slots(session, seen_within_seconds=settings.worker_seen_seconds)
        answer = Items[SlotRead](items=[SlotRead.of(view, caller=caller) for view in views])
    return etags.answer(request, answer)


@router.post("/slots/{name}/drain", responses=error_responses(403, 404))
def drain_slot(name: SlotNamePath, caller: OperatorDep, database: DatabaseDep, settings: SettingsDep) -> SlotRead:
    """For operators: let no new job start on a slot. A job that runs there continues."""
    with database.write() as session:
        view = slots.drain_slot(session, name=name, seen_within_seconds=settings.worker_seen_seconds)
        return SlotRead.of(view, caller=caller)


@router.post("/slots/{name}/resume", responses=error_responses(403, 404))
def resume_slot(
    name: SlotNamePath,
    caller: OperatorDep,
    database: DatabaseDep,
    settings: SettingsDep,
    doorbell: DoorbellDep,
    tasks: BackgroundTasks,
) -> SlotRead:
    """For operators: let jobs start on a slot again."""
    with database.write() as session:
        view = slots.resume_slot(session, name=name, seen_within_seconds=settings.worker_seen_seconds)
        answer = SlotRead.of(view, caller=caller)
    tasks.add_task(doorbell.ring, needs_cuda=answer.device == "cuda")
    return answer
