"""The Python client: handles, connections, queue sends, raw requests and sockets.

    from client import Client

    async with Client("http://localhost:6420", encoding="bare") as client:
        print(await client.get_or_create("counter", ["key"]).increment(5))

A structured failure raises `ActorError`; the other exceptions are those exported here and, for a broken transport, `httpx.HTTPError`.
"""

from client.client import Client
from client.config import ClientConfig
from client.configuration_error import ConfigurationError
from client.connections.connection import Connection, ConnectionDisposedError
from client.connections.link import ConnectionClosedError
from client.handle import Handle
from client.limits import Limits
from client.manager import ManagerApi
from client.observe import Exchange, Observer, SocketFrame
from client.raw_socket import RawSocket, SocketClosedError
from client.retry import RetryPolicy
from client.transport import ClientDisposedError, HttpFailureError
from runtime.errors import ActorError
from runtime.protocol.encodings import Encoding
from runtime.protocol.messages import QueueResult
from runtime.protocol.values import UNDEFINED

__all__ = [
    "UNDEFINED",
    "ActorError",
    "Client",
    "ClientConfig",
    "ClientDisposedError",
    "ConfigurationError",
    "Connection",
    "ConnectionClosedError",
    "ConnectionDisposedError",
    "Encoding",
    "Exchange",
    "Handle",
    "HttpFailureError",
    "Limits",
    "ManagerApi",
    "Observer",
    "QueueResult",
    "RawSocket",
    "RetryPolicy",
    "SocketClosedError",
    "SocketFrame",
]
