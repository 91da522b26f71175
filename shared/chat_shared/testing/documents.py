"""The committed contracts, as the tests hold them against what they see."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

CONTRACTS = Path(__file__).parents[2] / "contracts"

Schema = Mapping[str, Any]


@cache
def openapi_documents() -> dict[str, dict[str, Any]]:
    """Return the OpenAPI document of each service."""
    return {
        path.stem: json.loads(path.read_text()) for path in sorted((CONTRACTS / "openapi").glob("*.json"))
    }


@cache
def asyncapi_document() -> dict[str, Any]:
    """Return the AsyncAPI document."""
    document: dict[str, Any] = yaml.safe_load((CONTRACTS / "asyncapi.yaml").read_text())
    return document


def strict_validator(schema: Schema, document: Schema) -> jsonschema_rs.Draft202012Validator:
    """Return what checks a value against a schema of a document.

    Stricter than what a client may rely on: a field that is not documented fails.
    """
    schemas = {name: _closed(model) for name, model in document["components"]["schemas"].items()}
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": {"schemas": schemas}}, validate_formats=True
    )


def _closed(schema: Schema) -> Schema:
    if "properties" in schema and "additionalProperties" not in schema:
        return {**schema, "additionalProperties": False}
    return schema
