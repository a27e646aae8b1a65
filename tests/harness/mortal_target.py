"""A target for tests of dying targets: `python mortal_target.py` serves `FakeApp` and says where; `POST /die` ends it by that signal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from tests.harness.app_server import AppServer
from tests.harness.fake_app import FakeApp


class MortalApp(FakeApp):
    async def _http(self, scope, body: bytes) -> tuple[int, bytes]:
        if scope["path"] == "/die":
            print("out of memory", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.Signals[body.decode()])
        return await super()._http(scope, body)


async def main() -> None:
    server = AppServer(MortalApp())
    print(json.dumps({"endpoint": await server.start()}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
