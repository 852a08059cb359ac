"""The zone editor's endpoint: a camera's drawing, replaced as a whole, or refused in words."""

from __future__ import annotations

from dataclasses import asdict

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods
from pydantic import BaseModel, ValidationError

from cameras.drawings import Drawing, DrawnMeanwhile, UnusableDrawing, read_drawing, replace_drawing
from cameras.models import Camera
from trafficmon.accounts import audit
from trafficmon.accounts.access import Caller, caller_of, names_a_token
from trafficmon.accounts.models import AuditEntry
from trafficmon.dashboard.cameras import MAY_DRAW

ACTION = "camera.draw"
_CHANGES = (ACTION, "camera.change")


class Wish(BaseModel):
    """What is to be drawn, and the version that the editor began with."""

    version: str
    drawing: Drawing


@require_http_methods(["PUT"])
def save_drawing(request: HttpRequest, camera_id: int) -> JsonResponse:
    """200 with the drawing as it is stored; 409 with that of somebody else; 422 with the problems; 400 to 404."""
    caller = None if names_a_token(request) else caller_of(request)
    if caller is None:
        return _refused(401, _("You are not signed in any more. Sign in in another tab and save again."))
    camera = Camera.objects.visible_to(caller.user).filter(pk=camera_id).first()
    if camera is None:
        return _refused(404, _("This camera is not there any more, or you may not see it."))
    if not caller.may(MAY_DRAW):
        return _refused(403, _("Only administrators may change what is drawn."))
    try:
        wish = Wish.model_validate_json(request.body)
    except ValidationError as error:
        return _refused(400, _("This is no drawing: %s") % _told(error))
    return _save(caller, camera, wish)


def _save(caller: Caller, camera: Camera, wish: Wish) -> JsonResponse:
    try:
        with transaction.atomic():
            change = replace_drawing(camera.pk, wish.drawing, known=wish.version)
            if change:
                audit.record(caller, ACTION, camera, **asdict(change))
    except Camera.DoesNotExist:
        return _refused(404, _("This camera is not there any more, or you may not see it."))
    except DrawnMeanwhile as refusal:
        return _refused(409, _changed_meanwhile(camera), **_answer(refusal.drawing))
    except UnusableDrawing as refusal:
        message = _("Nothing is saved yet: please mend what is marked.")
        return _refused(422, message, problems=[asdict(each) for each in refusal.problems])
    camera.refresh_from_db(fields=["calibration"])
    return JsonResponse(_answer(read_drawing(camera)))


def _answer(drawing: Drawing) -> dict[str, object]:
    return {"drawing": drawing.model_dump(mode="json", by_alias=True), "version": drawing.version}


def _changed_meanwhile(camera: Camera) -> str:
    last = AuditEntry.objects.filter(action__in=_CHANGES, object_id=str(camera.pk)).first()
    if last is None:
        return _("Somebody has changed this drawing since you began.")
    return _("%(who)s has changed this drawing since you began.") % {"who": last.actor_name}


def _told(error: ValidationError) -> str:
    mistakes = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in mistakes[:3])


def _refused(status: int, message: str, **more: object) -> JsonResponse:
    return JsonResponse({"message": message, **more}, status=status)
