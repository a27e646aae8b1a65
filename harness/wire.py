"""Wire helpers for driver tests, which may not reach into the runtime: URLs, ids, inputs, values and BARE by the protocol's own rules."""

from runtime.protocol.bare import Reader, Writer
from runtime.protocol.connection import decode_to_client, encode_to_server
from runtime.protocol.encodings import Encoding
from runtime.protocol.gateway_url import encode_input, query_path
from runtime.protocol.ids import new_id
from runtime.protocol.messages import ActionRequest, ActionResponse, ErrorFrame, Event, Init, SubscriptionRequest
from runtime.protocol.payload import blob as dump_value
from runtime.protocol.payload import load_value

__all__ = [
    "ActionRequest",
    "ActionResponse",
    "Encoding",
    "ErrorFrame",
    "Event",
    "Init",
    "Reader",
    "SubscriptionRequest",
    "Writer",
    "decode_to_client",
    "dump_value",
    "encode_input",
    "encode_to_server",
    "load_value",
    "new_id",
    "query_path",
]
