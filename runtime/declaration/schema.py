"""Schemas of arguments, events, queues and parameters: a pydantic model, any type pydantic understands, or a callable.

A callable gets the value and returns the validated one; whatever it raises refuses the value.
"""

from __future__ import annotations

import inspect
from typing import Any, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from runtime.errors import ActorError, make_error, said_by

Schema = Any
"""A type for pydantic's `TypeAdapter`, or a callable `value -> value`."""


class Validator:
    """One declared schema, looked at once.

    Pydantic's adapter is made at the first value and kept, not in the constructor: it takes milliseconds, which programs with many
    actors would pay at import, and the types it needs may be declared after the actor.
    """

    __slots__ = ("_adapter", "_is_async", "_is_function", "_schema")

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._is_async = inspect.iscoroutinefunction(schema)
        # Classes and generic aliases such as `list[int]` are callable, too, but they are types.
        self._is_function = callable(schema) and not isinstance(schema, type) and get_origin(schema) is None
        self._adapter: TypeAdapter[Any] | None = None

    @classmethod
    def of(cls, schema: Schema | None) -> Validator | None:
        """What checks values of a schema; None without one."""
        return None if schema is None else cls(schema)

    def check(self, value: Any, message: str | None = None) -> Any:
        """The validated, possibly coerced value, as plain data.

        Args:
            value: What is validated.
            message: The text of the error, instead of the catalogue's.

        Raises:
            ActorError: actor.validation_error with metadata `{issues}`; feature.unsupported for an asynchronous validator (EVENT-022).
        """
        if self._is_async:
            raise make_error("feature.unsupported", feature="async schema validation")
        try:
            if self._is_function:
                return self._schema(value)
            if self._adapter is None:
                self._adapter = TypeAdapter(self._schema)
            result = self._adapter.validate_python(value)
        except ActorError:
            raise
        except ValidationError as error:
            issues = [{"message": item["msg"], "path": [str(part) for part in item["loc"]]} for item in error.errors()]
            raise make_error("actor.validation_error", message=message, metadata={"issues": issues}) from error
        except Exception as error:
            issues = [{"message": said_by(error), "path": []}]
            raise make_error("actor.validation_error", message=message, metadata={"issues": issues}) from error
        # Models do not travel: events, queues and state hold plain data only.
        return result.model_dump() if isinstance(result, BaseModel) else result
