"""The frame instrument: what goes over the wire as it came, without the client's filters, retries, reconnects and codecs.

`conform.frames(actor)` opens a `/connect` socket, `conform.request(actor, path)` makes one HTTP request; `exactly` holds all that came on
a socket against all that may come.
"""

from harness.frames.bodies import decoded
from harness.frames.connection import Frames, Seen
from harness.frames.match import AnyOrder, in_any_order

__all__ = ["AnyOrder", "Frames", "Seen", "decoded", "in_any_order"]
