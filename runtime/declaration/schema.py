"""Schemas of arguments, events, queues and parameters: a pydantic model, any type pydantic understands, or a callable.

A callable gets the value and returns the validated one; whatever it raises refuses the value.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from runtime.errors import ActorError, make_error

Schema = Any
"""A type for pydantic's `TypeAdapter`, or a callable `value -> value`."""


@functools.lru_cache(maxsize=512)
def _adapter(schema: Any) -> TypeAdapter[Any]:
    return TypeAdapter(schema)


def validate(schema: Schema, value: Any, message: str | None = None) -> Any:
    """The validated, possibly coerced value, as plain data.

    Raises:
        ActorError: actor.validation_error with metadata `{issues}`; feature.unsupported for an asynchronous validator (EVENT-022).
    """
    try:
        if inspect.iscoroutinefunction(schema):
            raise make_error("feature.unsupported", feature="async schema validation")
        if callable(schema) and not isinstance(schema, type) and get_origin(schema) is None:
            return schema(value)
        result = _adapter(schema).validate_python(value)
    except ActorError:
        raise
    except ValidationError as error:
        issues = [{"message": item["msg"], "path": [str(part) for part in item["loc"]]} for item in error.errors()]
        raise make_error("actor.validation_error", message=message, metadata={"issues": issues}) from error
    except Exception as error:
        raise make_error("actor.validation_error", message=message, metadata={"issues": [{"message": str(error), "path": []}]}) from error
    return result.model_dump() if isinstance(result, BaseModel) else result
