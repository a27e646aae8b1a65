"""Wire helpers for driver tests, which may not reach into the runtime: building URLs, ids and inputs by the protocol's own rules."""

from runtime.protocol.encodings import Encoding
from runtime.protocol.gateway_url import encode_input, query_path
from runtime.protocol.ids import new_id

__all__ = ["Encoding", "encode_input", "new_id", "query_path"]
