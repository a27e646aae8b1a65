"""Which bytes are on their way between two sockets of this process.

Why it exists: virtual time may only jump when nothing is under way. An empty poll does not prove that: under load the kernel may deliver a
loopback segment a moment after `send` returned. So every stream socket of the loop counts what it sent and received, per direction, and
the loop waits for the receiver to catch up. Asking the kernel instead was tried: unacknowledged bytes linger for the 40 ms of a delayed
acknowledgement, so its counters say "in flight" long after delivery.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Buffer

Address = Any
Flow = tuple[Address, Address]


class Loopback:
    """The balance of all directions between sockets of this process."""

    def __init__(self) -> None:
        self._listening: set[int] = set()
        self._sent: dict[Flow, int] = {}
        self._open: set[Flow] = set()
        # Directions whose receiver closed first: what is still written there will never be read, and must not hold the clock for ever.
        self._gone: set[Flow] = set()
        self._unsettled: set[Flow] = set()
        self.connecting = 0

    def listen(self, sock: socket.socket) -> None:
        """Remember a listening socket: what is sent to its port will be received here."""
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            self._listening.add(sock.getsockname()[1])

    def opened(self, local: Address, peer: Address) -> None:
        """Note that the end `local` of a connection to `peer` is open in this process."""
        self._open.add((local, peer))

    def sent(self, local: Address, peer: Address, count: int) -> None:
        """Note `count` bytes (or one for an end of stream) written at `local`; foreign peers do not count."""
        # The listener may not have accepted yet, so the other end is not known; its port says that it will be one of ours.
        accepted_later = peer[1] in self._listening and (peer, local) not in self._gone
        if (peer, local) not in self._open and not accepted_later:
            return
        self._move((local, peer), count)

    def received(self, local: Address, peer: Address, count: int) -> None:
        """Note `count` bytes read at `local`."""
        self._move((peer, local), -count)

    def closed(self, local: Address, peer: Address) -> None:
        """Forget the end `local`; whatever was on its way to it is lost."""
        self._open.discard((local, peer))
        if (peer, local) in self._open:
            self._gone.add((local, peer))
        self._gone.discard((peer, local))
        self._sent.pop((peer, local), None)
        self._unsettled.discard((peer, local))

    @property
    def busy(self) -> bool:
        """Whether a byte is on its way, or a connection is being made."""
        return self.connecting > 0 or bool(self._unsettled)

    def forgive(self) -> None:
        """Stop waiting for what is under way now: its receiver does not read (flow control). Counting goes on."""
        # Not the balances: if the receiver reads after all, its count still comes out even.
        self._unsettled.clear()

    def _move(self, flow: Flow, count: int) -> None:
        balance = self._sent.get(flow, 0) + count
        if balance > 0:
            self._sent[flow] = balance
            self._unsettled.add(flow)
        else:
            # Below zero: the sender was not counted (it is foreign, or its end of stream came from the kernel).
            self._sent.pop(flow, None)
            self._unsettled.discard(flow)


class CountedSocket(socket.socket):
    """A connected TCP socket that reports to a `Loopback`. Made from another socket, which it replaces."""

    _loopback: Loopback | None = None
    _local: Address = None
    _peer: Address = None

    @classmethod
    def adopt(cls, sock: socket.socket, loopback: Loopback) -> socket.socket:
        """Return `sock` counted, or `sock` itself when it is no connected internet stream."""
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM:
            return sock
        try:
            local, peer = sock.getsockname(), sock.getpeername()
        except OSError:
            return sock
        # `detach` hands the descriptor over; two objects for it would each close it.
        counted = cls(sock.family, sock.type, sock.proto, fileno=sock.detach())
        counted.setblocking(False)
        counted._loopback, counted._local, counted._peer = loopback, local, peer
        loopback.opened(local, peer)
        return counted

    def send(self, data: Buffer, flags: int = 0, /) -> int:
        """Send and count."""
        count = super().send(data, flags)
        self._count_sent(count)
        return count

    def sendmsg(self, buffers: Any, *args: Any) -> int:
        """Send several buffers and count."""
        count = super().sendmsg(buffers, *args)
        self._count_sent(count)
        return count

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive and count; an end of stream counts as one byte."""
        data = super().recv(bufsize, flags)
        if self._loopback is not None and not flags & socket.MSG_PEEK:
            self._loopback.received(self._local, self._peer, len(data) or 1)
        return data

    def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0, /) -> int:
        """Receive and count; an end of stream counts as one byte."""
        count = super().recv_into(buffer, nbytes, flags)
        # What is only peeked at stays in the kernel's buffer and is counted when it is read.
        if self._loopback is not None and not flags & socket.MSG_PEEK:
            self._loopback.received(self._local, self._peer, count or 1)
        return count

    def shutdown(self, how: int, /) -> None:
        """Shut down; closing the writing side puts an end of stream under way."""
        super().shutdown(how)
        if how != socket.SHUT_RD:
            self._finish()

    def close(self) -> None:
        """Close; puts an end of stream under way unless `shutdown` did."""
        loopback = self._loopback
        if loopback is not None:
            self._finish()
            loopback.closed(self._local, self._peer)
            self._loopback = None
        super().close()

    def _count_sent(self, count: int) -> None:
        if self._loopback is not None:
            self._loopback.sent(self._local, self._peer, count)

    _finished = False

    def _finish(self) -> None:
        if not self._finished:
            self._finished = True
            self._count_sent(1)
