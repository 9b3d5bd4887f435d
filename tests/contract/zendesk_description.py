"""Zendesk's own API description, mended where it is known to be wrong, as something to check requests and answers by.

The mends are those of our notes on the description (a to g), and more: a `oneOf` over the two shapes of a user would
refuse every user, for each fits both (h); the token endpoint is described with 201 alone (i); an audit event's value is
described as text or number, and that of tags is a list (j).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

Json = dict[str, Any]

URI = "urn:zendesk"
EVENTS = "/api/v2/incremental/ticket_events"
UNDESCRIBED = (
    r"/api/v2/users/\d+/tickets/requested",
    r"/api/v2/organizations/\d+/tickets",
)
"""Paths that the vendor documents in prose only."""
SIDE_PARAMETERS = {"include", "per_page", "page", "page[size]", "page[after]", "sort", "external_id", "role", "cursor"}
"""Query parameters that the vendor documents for all lists, and describes for few."""
_NULLABLE = {
    "TicketObject": ("assignee_id", "custom_status_id", "external_id", "forum_topic_id", "group_id", "organization_id",
                     "priority", "problem_id", "recipient", "type"),
    "UserForAdmin": ("email", "alias", "details", "notes"),
    "UserForEndUser": ("email", "organization_id", "phone", "photo", "shared_phone_number"),
    "TicketFieldObject": ("agent_description",),
}  # fmt: skip


def path_of_description() -> Path | None:
    """The vendor's file, which we may not ship: beside the checkout, or where DESKBRIDGE_SPECS says."""
    beside = Path(__file__).parents[2].parent / "shared" / "specs"
    found = Path(os.environ.get("DESKBRIDGE_SPECS", beside)) / "desks" / "zendesk-support-oas.yaml"
    return found if found.exists() else None


class Description:
    """The mended description."""

    def __init__(self, raw: Json) -> None:
        self.raw = _as_json_schema(_mended(raw))
        self._registry = Registry().with_resource(URI, Resource(self.raw, DRAFT202012))
        self._paths = sorted(
            ((re.compile(re.sub(r"\\{[^}]+\\}", r"[^/]+", re.escape(path))), path) for path in self.raw["paths"]),
            key=lambda pair: pair[1].count("{"),
        )

    def problems(
        self, method: str, path: str, query: str = "", request: bytes = b"", status: int = 0, response: bytes = b""
    ) -> list[str]:
        """What is wrong with a request, and with its answer when there is a status. Empty: nothing."""
        path = path.removesuffix(".json")
        if any(re.fullmatch(pattern, path) for pattern in UNDESCRIBED):
            return []
        template = next((known for pattern, known in self._paths if pattern.fullmatch(path)), None)
        operation = self.raw["paths"].get(template, {}).get(method.lower())
        if template is None or operation is None:
            return [f"{method} {path} is not described"]
        found = [*self._query(template, operation, query)]
        if "requestBody" in operation or request:
            found += self._request(template, method, operation, request)
        if status and status < 400:
            found += self._answer(template, method, operation, status, response)
        return [f"{method} {template}: {problem}" for problem in found]

    def _query(self, template: str, operation: Json, query: str) -> Iterator[str]:
        given = dict(parse_qsl(query, keep_blank_values=True))
        declared: dict[str, Json] = {}
        for parameter in [*self.raw["paths"][template].get("parameters", ()), *operation.get("parameters", ())]:
            if "$ref" in parameter:
                parameter = self.raw["components"]["parameters"][parameter["$ref"].rsplit("/", 1)[1]]
            if parameter["in"] == "query":
                declared[parameter["name"]] = parameter
        for name, parameter in declared.items():
            if parameter.get("required") and name not in given:
                yield f"query parameter {name} is missing"
            elif (
                name in given and (parameter.get("schema") or {}).get("type") == "integer" and not given[name].isdigit()
            ):
                yield f"query parameter {name} is no integer"
        yield from (f"query parameter {name} is not known" for name in given.keys() - declared.keys() - SIDE_PARAMETERS)

    def _request(self, template: str, method: str, operation: Json, request: bytes) -> Iterator[str]:
        if "requestBody" not in operation:
            yield "takes no body"
            return
        body = dict(parse_qsl(request.decode())) if template == "/oauth/tokens" else json.loads(request or b"null")
        pointer = f"/paths/{_escaped(template)}/{method.lower()}/requestBody/content/application~1json/schema"
        yield from (f"request {problem}" for problem in self._check(pointer, body))

    def _answer(self, template: str, method: str, operation: Json, status: int, response: bytes) -> Iterator[str]:
        if str(status) not in operation["responses"]:
            yield f"answers {status}, which is not described"
            return
        content = operation["responses"][str(status)].get("content", {})
        if "application/json" in content:
            pointer = (
                f"/paths/{_escaped(template)}/{method.lower()}/responses/{status}/content/application~1json/schema"
            )
            yield from (f"answer {problem}" for problem in self._check(pointer, json.loads(response)))

    def _check(self, pointer: str, value: object) -> Iterator[str]:
        validator = Draft202012Validator({"$ref": f"{URI}#{pointer}"}, registry=self._registry)
        for error in validator.iter_errors(value):
            yield f"{error.json_path} {error.message[:200]}"


@cache
def description() -> Description:
    """The description, read once: it is large."""
    import yaml

    found = path_of_description()
    assert found is not None
    return Description(yaml.load(found.read_text(), Loader=yaml.CSafeLoader))


def _body(schema: Json) -> Json:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _mended(raw: Json) -> Json:
    paths, schemas = raw["paths"], raw["components"]["schemas"]
    for name in ("tickets", "users"):  # a
        operation = paths[f"/api/v2/incremental/{name}/cursor"]
        for parameter in [*operation.get("parameters", ()), *operation["get"].get("parameters", ())]:
            target = parameter
            if "$ref" in parameter:
                target = raw["components"]["parameters"][parameter["$ref"].rsplit("/", 1)[1]]
                parameter.clear()
                parameter.update(target)
            if parameter.get("name") == "start_time":
                parameter["required"] = False
    tags = {"tags": {"type": "array", "items": {"type": "string"}}}
    lock = {"updated_stamp": {"type": "string"}, "safe_update": {"type": ["boolean", "string"]}}
    for method in ("put", "post", "delete"):  # b
        form = {"type": "object", "properties": {**tags, **lock}, "required": ["tags"], "additionalProperties": False}
        paths["/api/v2/tickets/{ticket_id}/tags"][method]["requestBody"] = _body(form)
    values = {"type": "array", "items": {"type": "object", "required": ["id", "value"], "additionalProperties": False,
                                         "properties": {"id": {"type": "integer"}, "value": {}}}}  # fmt: skip
    change = schemas["TicketUpdateInput"]["properties"]
    change["custom_fields"] = values  # d
    for name in ("assignee_id", "priority", "type", "external_id", "group_id", "organization_id"):  # e
        change[name] = {**{key: value for key, value in change[name].items() if key != "enum"}, "nullable": True}
    change["metadata"] = {"type": "object"}
    additive = {"additional_tags": tags["tags"], "remove_tags": tags["tags"]}  # f
    strict = {"type": "object", "properties": {**change, **additive}, "additionalProperties": False}
    paths["/api/v2/tickets/{ticket_id}"]["put"]["requestBody"] = _body(_object(ticket=strict))
    for part in schemas["TicketCreateInput"]["allOf"]:
        part.get("properties", {}).pop("custom_fields", None)
    paths["/api/v2/tickets"]["post"]["requestBody"]["content"]["application/json"]["schema"]["required"] = ["ticket"]
    text, anything = {"type": "string"}, {"type": "object"}
    user = {"name": text, "email": text, "phone": {"type": ["string", "null"]}, "external_id": text, "role": text,
            "organization_id": {"type": "integer"}, "skip_verify_email": {"type": "boolean"}, "locale": text,
            "user_fields": anything}  # fmt: skip
    party = {"name": text, "external_id": text, "domain_names": {"type": "array"}, "organization_fields": anything}
    for path, method, name, properties in [  # c
        ("/api/v2/users/create_or_update", "post", "user", user),
        ("/api/v2/users/{user_id}", "put", "user", user),
        ("/api/v2/organizations/create_or_update", "post", "organization", party),
        ("/api/v2/organizations/{organization_id}", "put", "organization", party),
    ]:
        form = {"type": "object", "properties": properties, "additionalProperties": False}
        paths[path][method]["requestBody"] = _body(_object(**{name: form}))
    for name, properties in _NULLABLE.items():  # e
        for key in properties:
            held = schemas.get(name, {}).get("properties", {}).get(key)
            if held is not None:
                schemas[name]["properties"][key] = {"anyOf": [held, {"type": "null"}]}
    schemas["OrganizationObject"]["properties"]["organization_fields"]["additionalProperties"] = True  # e: null too
    put = paths["/api/v2/tickets/{ticket_id}"]["put"]["responses"]["200"]["content"]["application/json"]["schema"]
    _replace_values(_resolved(raw, put)["properties"]["audit"], raw)  # j
    ticket = schemas["TicketObject"]["properties"]
    ticket["status"] = {"type": "string", "enum": ["new", "open", "pending", "hold", "solved", "closed", "deleted"]}
    ticket["custom_fields"] = values
    event = {"type": "object", "required": ["id", "ticket_id", "timestamp", "created_at", "child_events"],
             "properties": {"child_events": {"type": "array", "items": {"required": ["id", "event_type"]}}}}  # fmt: skip
    paths[EVENTS]["get"]["responses"]["200"]["content"]["application/json"]["schema"] = {  # g
        "type": "object",
        "required": ["ticket_events", "end_of_stream"],
        "properties": {"ticket_events": {"type": "array", "items": event}},
    }
    schemas["UserObject"] = {"anyOf": schemas["UserObject"].get("oneOf") or schemas["UserObject"]["anyOf"]}  # h
    token = paths["/oauth/tokens"]["post"]
    token["responses"]["200"] = token["responses"]["201"]  # i
    token["requestBody"] = _body({"type": "object", "required": ["grant_type", "client_id"]})
    return raw


def _resolved(raw: Json, schema: Json) -> Json:
    while "$ref" in schema:
        schema = raw["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _replace_values(audit: Json, raw: Json) -> None:
    """Lets an audit event's value be a list: that of a change of tags is one."""
    _resolved(raw, _resolved(raw, audit)["properties"]["events"]["items"])["properties"]["value"] = {}


def _as_json_schema(part: Any) -> Any:
    """OpenAPI 3.0's `nullable` in the words of JSON Schema."""
    if isinstance(part, list):
        return [_as_json_schema(item) for item in part]
    if not isinstance(part, dict):
        return part
    made = {key: _as_json_schema(value) for key, value in part.items() if key not in ("example", "examples")}
    if made.get("nullable") is True:
        del made["nullable"]
        return {"anyOf": [made, {"type": "null"}]}
    return made


def _escaped(path: str) -> str:
    return path.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
