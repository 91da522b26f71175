"""The request collection for Bruno in `bruno/`, made from the OpenAPI documents."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

FOLDER = "bruno"
JSON, FORM = "application/json", "multipart/form-data"
COLLECTION = {"version": "1", "name": "Chat", "type": "collection", "ignore": ["node_modules", ".git"]}
ENVIRONMENT = {
    "baseUrl": "http://localhost:8080",
    "username": "ada",
    "email": "ada@example.com",
    "password": "correct horse battery staple",
}
#: Fields and parameters that come from the environment, or from the answer to an earlier request.
VARIABLES = {
    "username": "username",
    "email": "email",
    "password": "password",
    "currentPassword": "password",
    "newPassword": "password",
    "refreshToken": "refreshToken",
    "userId": "userId",
    "user_id": "userId",
    "ids": "userId",
    "roomId": "roomId",
    "room_id": "roomId",
    "session_id": "sessionId",
    "media_id": "mediaId",
    "seq": "seq",
    "clientMessageId": "$guid",
    "idempotency-key": "$guid",
}
#: What later requests need, by operation: variable -> where it is in the answer.
KEPT = {
    "logIn": {
        "accessToken": "res.body.data.accessToken",
        "refreshToken": "res.body.data.refreshToken",
        "userId": "res.body.data.user.id",
    },
    "refreshTokens": {
        "accessToken": "res.body.data.accessToken",
        "refreshToken": "res.body.data.refreshToken",
    },
    "listSessions": {"sessionId": "res.body.data[0].id"},
    "createRoom": {"roomId": "res.body.data.id"},
    "sendMessage": {"seq": "res.body.data.seq"},
    "uploadImage": {"mediaId": "res.body.data.mediaId"},
    "uploadFile": {"mediaId": "res.body.data.mediaId"},
}
#: What is uploaded, by the name of its field; both lie in the collection.
UPLOADS = {"image": "picture.png", "file": "bruno.json"}


def bruno_files(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the text of every file of the collection by its path.

    Args:
        documents: the OpenAPI document of each service.
    """
    files = {
        "bruno.json": json.dumps(COLLECTION, indent=2) + "\n",
        "collection.bru": _text(
            _block("auth", ["mode: bearer"]), _block("auth:bearer", ["token: {{accessToken}}"])
        ),
        "environments/local.bru": _text(_block("vars", _pairs(ENVIRONMENT))),
    }
    with_paths = {service: document for service, document in documents.items() if document["paths"]}
    for place, (service, document) in enumerate(with_paths.items(), start=1):
        files[f"{service}/folder.bru"] = _text(_block("meta", [f"name: {service}", f"seq: {place}"]))
        for number, (path, method, operation) in enumerate(_operations(document), start=1):
            files[f"{service}/{_file_name(operation)}"] = _request(number, path, method, operation)
    return {f"{FOLDER}/{path}": text for path, text in files.items()}


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _file_name(operation: Mapping[str, Any]) -> str:
    words: list[str] = re.findall(r"[a-z]+", operation["summary"].lower())
    return "-".join(words) + ".bru"


def _request(number: int, path: str, method: str, operation: Mapping[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    kind = "json" if JSON in content else "multipartForm" if FORM in content else "none"
    target = [
        "url: {{baseUrl}}" + re.sub(r"{(.+?)}", r":\1", path) + _query(operation),
        f"body: {kind}",
        f"auth: {'inherit' if {'bearer': []} in operation['security'] else 'none'}",
    ]
    meta = [f"name: {operation['summary']}", "type: http", f"seq: {number}"]
    return _text(
        _block("meta", meta),
        _block(method, target),
        *(_parameters(operation, place, name) for place, name in _PARAMETER_BLOCKS.items()),
        _body(kind, content),
        _block("vars:post-response", _pairs(KEPT.get(operation["operationId"], {}))),
        _block("assert", [f"res.status: in {', '.join(_successes(operation))}"]),
        _block("docs", _explanation(operation)),
    )


def _query(operation: Mapping[str, Any]) -> str:
    """Return what is asked for in the URL: Bruno sends that, whatever its list of parameters says."""
    needed = [name for name in _needed(operation) if _variable(name)]
    return "?" + "&".join(f"{name}={_variable(name)}" for name in needed) if needed else ""


def _needed(operation: Mapping[str, Any]) -> Iterator[str]:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "query" and parameter["required"]:
            yield parameter["name"]


_PARAMETER_BLOCKS = {"query": "params:query", "path": "params:path", "header": "headers"}


def _parameters(operation: Mapping[str, Any], place: str, block: str) -> str:
    """Return the parameters of one place; those that may be left out are there, and switched off."""
    lines = []
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == place:
            value = _variable(parameter["name"]) or _shown(parameter["schema"])
            lines.append(f"{'' if parameter['required'] else '~'}{parameter['name']}: {value}")
    return _block(block, lines)


def _shown(schema: Mapping[str, Any]) -> Any:
    return schema.get("default", "")


def _variable(name: str) -> str | None:
    variable = VARIABLES.get(name)
    return None if variable is None else f"{{{{{variable}}}}}"


def _body(kind: str, content: Mapping[str, Any]) -> str:
    if kind == "json":
        return _block("body:json", _json_with_variables(content[JSON]["example"]).splitlines())
    if kind == "multipartForm":
        return _block("body:multipart-form", _form(content[FORM]["schema"]))
    return ""


def _json_with_variables(example: Mapping[str, Any]) -> str:
    """Return an example as JSON in which variables stand for what they hold; a number has no quotes."""
    text = json.dumps({name: _variable(name) or value for name, value in example.items()}, indent=2)
    return text.replace('"{{seq}}"', "{{seq}}")


def _form(schema: Mapping[str, Any]) -> Iterator[str]:
    for name in schema["properties"]:
        off = "" if name in schema["required"] else "~"
        yield f"{off}{name}: {_variable(name) or f'@file({UPLOADS[name]})'}"


def _successes(operation: Mapping[str, Any]) -> list[str]:
    return [status for status in sorted(operation["responses"]) if status < "300"]


def _explanation(operation: Mapping[str, Any]) -> Iterator[str]:
    yield operation["description"]
    yield ""
    for status, answer in sorted(operation["responses"].items()):
        yield f"- {status}: {answer['description']}"


def _pairs(values: Mapping[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in values.items()]


def _block(name: str, lines: Iterable[str]) -> str:
    inside = [f"  {line}".rstrip() for line in lines]
    return "\n".join([f"{name} {{", *inside, "}"]) + "\n" if inside else ""


def _text(*blocks: str) -> str:
    return "\n".join(block for block in blocks if block)
