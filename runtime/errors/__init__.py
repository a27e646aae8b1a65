"""Structured errors: the exception, the masking rules, the statuses. The catalogue itself is data in `catalogue`.

An error is `group`, `code`, `message`, optional `metadata`. Inside the process it also has a `public` flag and a status of its own;
neither travels (WIRE section 10).
"""

from runtime.errors.catalogue import CATALOGUE, ErrorSpec
from runtime.errors.containment import EscapedError, awaited, contained, is_end, raise_contained, said_by
from runtime.errors.exceptions import ActorError, UserError, forbidden, make_error, make_refusal
from runtime.errors.http_status import gateway_status, http_status
from runtime.errors.masking import MASKED_MESSAGE, from_wire_error, is_public, to_wire

__all__ = [
    "CATALOGUE",
    "MASKED_MESSAGE",
    "ActorError",
    "ErrorSpec",
    "EscapedError",
    "UserError",
    "awaited",
    "contained",
    "forbidden",
    "from_wire_error",
    "gateway_status",
    "http_status",
    "is_end",
    "is_public",
    "make_error",
    "make_refusal",
    "raise_contained",
    "said_by",
    "to_wire",
]
