"""JSON Schema complaints as people need them: file, line, field, the rule in words, the value."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from infra.strict_yaml import Document, YamlPath
from schemas import json_schema

BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "greater than",
    "exclusiveMaximum": "less than",
}

TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}


class SchemaError(ValueError):
    """A document that breaks its schema; one line."""


def check_schema(document: Document, schema: str) -> None:
    """Raises the first complaint of a schema of ``schemas/definitions``, in the order of the lines.

    Raises:
        SchemaError: The document breaks the schema.
    """
    complaints = [_complaint(error) for error in _validator(schema).iter_errors(document.content)]
    if complaints:
        # A misspelt name is also a missing one; the name that is there says more.
        path, rule = min(complaints, key=lambda each: (document.line(each[0]), each[1] == "is missing"))
        raise SchemaError(f"{document.where(path)}: {rule}")


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(json_schema(schema))


def _complaint(error: ValidationError) -> tuple[YamlPath, str]:
    """Where a value breaks the schema, and the rule in words."""
    path: YamlPath = tuple(error.absolute_path)
    rule, bound, value = str(error.validator), error.validator_value, error.instance
    if rule == "required":
        missing = next(name for name in bound if name not in value)
        return (*path, missing), "is missing"
    if rule == "additionalProperties":
        known = list(error.schema["properties"])
        unknown = next(name for name in value if name not in known)
        close = get_close_matches(unknown, known, n=1)
        return (*path, unknown), "is no field" + (
            f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
        )
    if "propertyNames" in error.absolute_schema_path:
        return (*path, value), f"its name {_rule(rule, bound, value)}"
    return path, _rule(rule, bound, value)


def _rule(rule: str, bound: Any, value: Any) -> str:
    """The broken rule in words, with the value that broke it."""
    match rule:
        case "type":
            types = [bound] if isinstance(bound, str) else bound
            words = f"must be {' or '.join(TYPES[each] for each in types)}"
        case "enum":
            words = f"must be one of {', '.join(bound)}"
        case "pattern":
            words = f"must match {bound}"
        case "not":
            words = "is the name for values that are not listed"
        case "uniqueItems":
            words = "must not repeat a value"
        case "minLength" | "minItems":
            return "must not be empty"
        case "maxLength" | "maxItems":
            return f"must not be longer than {bound} (it has {len(value)})"
        case "minProperties":
            return f"must have at least {bound} entries (it has {len(value)})"
        case _:
            words = f"must be {BOUNDS[rule]} {bound}"
    shown = "null" if value is None else repr(value) if isinstance(value, str) else str(value)
    return f"{words} (it is {shown[:60]})"
