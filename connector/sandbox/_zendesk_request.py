"""Reading a request as the Zendesk sandbox does: JSON in a wrapper, lists of ids."""

from __future__ import annotations

import json

from flask import request
from werkzeug.exceptions import BadRequest

from connector.sandbox._zendesk_world import Json, Refused


def body() -> Json:
    try:
        found = json.loads(request.get_data() or b"{}")
    except ValueError:
        raise Refused(422, "Unprocessable Entity", "Server could not parse JSON") from None
    if not isinstance(found, dict):
        raise BadRequest
    return found


def wrapped(name: str) -> Json:
    inside = body().get(name)
    if not isinstance(inside, dict):
        raise Refused(400, "InvalidParameter", f"Parameter {name} is required")
    return inside


def ids(name: str = "ids") -> list[int]:
    found = [part.strip() for part in request.args.get(name, "").split(",") if part.strip()]
    if len(found) > 100:
        raise Refused(400, "TooManyValues", "The list is longer than 100")
    return [int(part) for part in found]
