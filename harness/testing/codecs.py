"""What driver tests need of the wire formats: messages, values, BARE, URLs and ids by the judge's own codecs."""

# One place, so that driver tests depend on the harness and not on the rooms in it; nothing here comes from the judged runtime's codecs.
from client import Encoding
from harness.codec.addresses import encode_input, new_id, query_path
from harness.codec.bare import Reader, Writer
from harness.codec.documents import dump_value, load_value
from harness.codec.errors import SchemaError
from harness.codec.frames import decode_to_client, encode_to_server
from harness.codec.messages import ActionRequest, ActionResponse, ErrorFrame, Event, Init, SubscriptionRequest
from harness.codec.values import same

__all__ = [
    "ActionRequest",
    "ActionResponse",
    "Encoding",
    "ErrorFrame",
    "Event",
    "Init",
    "Reader",
    "SchemaError",
    "SubscriptionRequest",
    "Writer",
    "decode_to_client",
    "dump_value",
    "encode_input",
    "encode_to_server",
    "load_value",
    "new_id",
    "query_path",
    "same",
]
