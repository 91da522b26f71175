"""Examples of bodies and payloads, put together from the examples of their fields."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]


class NoExample(LookupError):
    """A field says nothing about what it looks like: give it `examples` in its model."""


def example_of(schema: Schema, definitions: Mapping[str, Schema], *, place: str = "$") -> Any:
    """Return a value that a JSON schema describes, always the same one.

    A whole example of a model wins over those of its fields. What may be left out and has no example is left
    out, and what may be null and has none is null.

    Args:
        definitions: what the last part of a `$ref` names.
        place: where this stands, for the failure.

    Raises:
        NoExample: a field has none.
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return example_of(definitions[name], definitions, place=place)
    given = _given(schema)
    if given:
        return given[0]
    if "anyOf" in schema and "properties" not in schema:
        return _first_of(schema["anyOf"], definitions, place)
    return _composed(schema, definitions, place)


def _given(schema: Schema) -> list[Any]:
    for key in ("examples", "enum"):
        if schema.get(key):
            return list(schema[key])
    for key in ("example", "const", "default"):
        if key in schema and schema[key] is not None:
            return [schema[key]]
    return []


def _first_of(choices: list[Schema], definitions: Mapping[str, Schema], place: str) -> Any:
    """Return an example of the first choice that has one; null needs none."""
    for choice in choices:
        try:
            return example_of(choice, definitions, place=place)
        except NoExample:
            continue
    raise NoExample(place)


def _composed(schema: Schema, definitions: Mapping[str, Schema], place: str) -> Any:
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, definitions, place)
    if kind == "array":
        return [example_of(schema["items"], definitions, place=f"{place}[]")]
    if kind == "boolean":
        return False
    if kind == "null":
        return None
    raise NoExample(place)


def _object(schema: Schema, definitions: Mapping[str, Schema], place: str) -> dict[str, Any]:
    required = schema.get("required", ())
    example = {}
    for name, field in schema.get("properties", {}).items():
        try:
            value = example_of(field, definitions, place=f"{place}.{name}")
        except NoExample:
            if name in required:
                raise
            continue
        if value is not None or name in required:
            example[name] = value
    return example
