"""uvicorn's WebSockets, made to fit: they name why they close on text that is not UTF-8."""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from runtime.errors import make_error


class CheckedTextProtocol(WebSocketsSansIOProtocol):
    """`Config(ws=CheckedTextProtocol)`. Implements WIRE-605, RAWWS-022."""

    def send_receive_event_to_app(self) -> None:
        """Hand over a complete message, or close with 1007 and the error's name."""
        if self.curr_msg_data_type == "text" and not self.close_sent and not self._is_utf8():
            self.frames = []
            self.conn.send_close(1007, make_error("message.invalid_utf8").name)
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    def _is_utf8(self) -> bool:
        # A character may be split over frames, so it is the whole message that counts.
        try:
            (self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)).decode()
        except UnicodeDecodeError:
            return False
        return True
