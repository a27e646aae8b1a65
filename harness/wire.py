"""Wire helpers for driver tests, which may not reach into the runtime: URLs, ids, inputs, values and BARE by the protocol's own rules."""

from runtime.protocol.bare import Reader, Writer
from runtime.protocol.encodings import Encoding
from runtime.protocol.gateway_url import encode_input, query_path
from runtime.protocol.ids import new_id
from runtime.protocol.payload import blob as dump_value
from runtime.protocol.payload import load_value

__all__ = ["Encoding", "Reader", "Writer", "dump_value", "encode_input", "load_value", "new_id", "query_path"]
