"""An actor as the calls into its user code see it."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

from runtime.actor.calls.admission import Admissions
from runtime.actor.lifecycle.abort import AbortSignal
from runtime.actor.lifecycle.inbox import Inbox
from runtime.declaration.definition import ActorDefinition
from runtime.errors import make_error
from tests.runtime.parts import Owner


class Calling(Owner):
    """Serves its dispatch inbox at once, unless `busy`; `refusal` is what newcomers are told. `ended` are connections that left."""

    def __init__(self, actor, **more):
        definition = ActorDefinition.of(actor)
        super().__init__(
            loop=asyncio.get_running_loop(), definition=definition, debug=False, busy=False, refusal=None, ended=[], flushes=[],
            abort=AbortSignal(), conns=self, dispatch_inbox=Inbox("dispatch_inbox", 2, self.serve, lambda *_: None), **more,
        )  # fmt: skip
        self.options = definition.options
        self.state = SimpleNamespace(flush=lambda: self.flushes.append("flush"), flush_turn=lambda: self.flushes.append("quietly"))
        self.state_transactions = SimpleNamespace(check_saving=lambda: None)
        self.admissions = Admissions(self)

    def accepting(self):
        if self.refusal:
            raise make_error(self.refusal)

    def serve(self):
        if not self.busy:
            while (admission := self.dispatch_inbox.take()) is not None:
                admission.start()

    @asynccontextmanager
    async def transient(self, params=None, request=None):
        conn = SimpleNamespace(params=params, link=None)
        try:
            yield conn
        finally:
            self.ended.append(conn)
