"""What of uvicorn is subclassed or replaced. Another release may do without it: then this fails first, and says what to look at."""

import inspect

import pytest
import uvicorn
from uvicorn.protocols.http import h11_impl, httptools_impl
from uvicorn.protocols.websockets import websockets_sansio_impl
from uvicorn.server import ServerState

HTTP = ["data_received", "connection_made", "connection_lost", "eof_received", "shutdown", "send_400_response", "on_response_complete"]
USED = {
    httptools_impl.HttpToolsProtocol: [
        *HTTP, "on_message_begin", "on_headers_complete", "on_body", "on_message_complete", "_should_upgrade", "_start_asgi_task",
    ],
    h11_impl.H11Protocol: [*HTTP, "handle_events", "handle_websocket_upgrade", "_unsupported_upgrade_warning"],
    websockets_sansio_impl.WebSocketsSansIOProtocol: ["handle_connect", "connection_made", "connection_lost", "shutdown", "run_asgi"],
}  # fmt: skip
CALLED_BY = {
    # Methods that uvicorn has to call, or an override of ours would be dead.
    httptools_impl.RequestResponseCycle: [
        "self.on_response()",
        "self.disconnected",
        "self.message_event",
        "self.keep_alive",
        "self.transport.close()",
    ],
    h11_impl.RequestResponseCycle: [
        "self.on_response()",
        "self.disconnected",
        "self.message_event",
        "self.keep_alive",
        "self.transport.close()",
    ],
    h11_impl.H11Protocol: ["self.conn.next_event()", "self.send_400_response(", "self.handle_websocket_upgrade(", "self.app_state.copy()"],
    httptools_impl.HttpToolsProtocol: ["self.pipeline.appendleft(", "self.app_state.copy()", "self.headers.append("],
    uvicorn.Server: ["http_protocol_class(", "self.server_state"],
    ServerState: ["self.connections"],
}


@pytest.mark.parametrize(("owner", "names"), USED.items(), ids=lambda item: getattr(item, "__name__", ""))
def test_what_is_overridden_exists(owner, names):
    gone = [name for name in names if not callable(getattr(owner, name, None))]
    assert not gone, f"uvicorn {uvicorn.__version__} has no {', '.join(gone)} in {owner.__name__}: runtime/serving overrides or calls them"


@pytest.mark.parametrize(("owner", "texts"), CALLED_BY.items(), ids=lambda item: getattr(item, "__module__", ""))
def test_what_is_relied_on_is_still_done(owner, texts):
    source = inspect.getsource(owner)
    gone = [text for text in texts if text not in source]
    assert not gone, f"uvicorn {uvicorn.__version__} no longer does {', '.join(gone)} in {owner.__name__}: runtime/serving relies on it"
