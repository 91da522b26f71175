"""JSON Schema as rows of a table: a property, its type, what limits it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from json import dumps
from typing import Any

from markupsafe import Markup

Schema = Mapping[str, Any]

ANY = Markup("any value")
_CODE = Markup("<code>{}</code>")
_LINK = Markup('<a href="#{}">{}</a>')
_LIMITS = {
    "minLength": Markup("length ≥ {}"),
    "maxLength": Markup("length ≤ {}"),
    "minimum": Markup("≥ {}"),
    "exclusiveMinimum": Markup("&gt; {}"),
    "maximum": Markup("≤ {}"),
    "exclusiveMaximum": Markup("&lt; {}"),
    "multipleOf": Markup("a multiple of {}"),
    "minItems": Markup("items ≥ {}"),
    "maxItems": Markup("items ≤ {}"),
    "uniqueItems": Markup("no item twice"),
    "minProperties": Markup("entries ≥ {}"),
    "maxProperties": Markup("entries ≤ {}"),
    "format": Markup("format {}"),
    "pattern": Markup("matches {}"),
}
_CHOICES = {"anyOf": Markup(" or "), "oneOf": Markup(" or "), "allOf": Markup(" and ")}


@dataclass(frozen=True)
class Row:
    """A property. `name` has dots where it is a property of a property."""

    name: str
    kind: Markup
    required: bool
    limits: list[Markup]
    description: Markup


def schema_anchor(name: str) -> str:
    """Return where the page describes a named schema."""
    return f"schema-{name}"


def name_of(reference: str) -> str:
    """Return the last part of a reference within the document."""
    return reference.rpartition("/")[2]


def rows(schema: Schema, inline: Callable[[str], Markup], prefix: str = "") -> Iterator[Row]:
    """Yield the properties of an object, those of nested objects without a name included.

    Args:
        inline: renders a description.
    """
    required = schema.get("required", ())
    for name, of in schema.get("properties", {}).items():
        description = inline(of.get("description", ""))
        yield Row(prefix + name, kind(of), name in required, list(_limits(of)), description)
        inner, mark = (of["items"], "[].") if isinstance(of.get("items"), Mapping) else (of, ".")
        yield from rows(inner, inline, prefix + name + mark)


def narrowed(schema: Schema, inline: Callable[[str], Markup]) -> list[Row]:
    """Return what the parts of an `allOf` without a name say of properties of the others."""
    parts = [part for part in schema.get("allOf", ()) if "$ref" not in part]
    return [row for part in parts for row in rows(part, inline) if row.kind != ANY]


def named(schema: Schema) -> str | None:
    """Return the name of the schema: its own, or that of the only one which an `allOf` narrows."""
    names = [name_of(part["$ref"]) for part in (schema, *schema.get("allOf", ())) if "$ref" in part]
    return names[0] if len(names) == 1 else None


def kind(schema: Schema) -> Markup:
    """Return the type in words, with links to the schemas that have a name."""
    if "$ref" in schema:
        name = name_of(schema["$ref"])
        return _LINK.format(schema_anchor(name), name)
    if "const" in schema:
        return _value(schema["const"])
    if "enum" in schema:
        return Markup(" or ").join(_value(value) for value in schema["enum"])
    for choice, word in _CHOICES.items():
        if choice in schema:
            kinds = [kind(option) for option in schema[choice]]
            # What only narrows another schema says nothing of the type.
            return word.join([one for one in kinds if choice != "allOf" or one != ANY] or [ANY])
    return _of_type(schema)


def _of_type(schema: Schema) -> Markup:
    type_ = schema.get("type", ANY)
    if isinstance(type_, list):
        return Markup(" or ").join(kind({**schema, "type": one}) for one in type_)
    if type_ == "array" and schema.get("items"):
        return Markup("array of {}").format(kind(schema["items"]))
    values = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
    if type_ == "object" and "properties" not in schema and values[0]:
        return Markup("object: each value is {}").format(
            kind(values[0]) if isinstance(values[0], Mapping) else ANY
        )
    return Markup("{}").format(type_)


def _limits(schema: Schema, *, outer: bool = True) -> Iterator[Markup]:
    for keyword, words in _LIMITS.items():
        value = schema.get(keyword)
        if value is not None and value is not False:
            yield words.format(_CODE.format(value) if keyword in ("pattern", "format") else value)
    for pattern in schema.get("patternProperties", {}):
        yield Markup("each key matches {}").format(_CODE.format(pattern))
    if isinstance(schema.get("items"), Mapping):
        for limit in _limits(schema["items"], outer=False):
            yield Markup("each {}").format(limit)
    for choice in _CHOICES:
        for option in schema.get(choice, ()):
            yield from _limits(option, outer=False)
    if outer and "default" in schema and "const" not in schema:
        yield Markup("default {}").format(_value(schema["default"]))


def _value(value: Any) -> Markup:
    return _CODE.format(dumps(value, ensure_ascii=False))
