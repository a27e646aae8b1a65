"""Requests to the inspector of an actor, with its token."""

from __future__ import annotations

import base64
from typing import Any

from harness.testing.codecs import query_path

FIXED_TOKEN = "token"
"""The token of targets that run in test mode (INSP-017)."""
UNAUTHORIZED = {
    "group": "inspector",
    "code": "unauthorized",
    "message": "Inspector request requires a valid bearer token",
    "metadata": None,
}
"""The answer to a request without the token (INSP-014)."""


async def inspector_token(conform: Any, actor_id: str) -> str:
    """The token the operator reads (INSP-012), or the fixed one where the target has no token of its own."""
    headers = {"authorization": f"Bearer {conform.token}"} if conform.token else {}
    response = await conform.http.get(f"/actors/{actor_id}/kv/keys/Aw==", params={"namespace": conform.namespace}, headers=headers)
    return base64.b64decode(response.json()["value"]).decode() if response.status_code == 200 else FIXED_TOKEN


class Inspector:
    """The inspector's HTTP API of one actor; `path` is relative to `/inspector/`."""

    def __init__(self, conform: Any, actor_id: str, token: str) -> None:
        self._conform = conform
        self.actor_id = actor_id
        self.token = token

    async def request(self, method: str, path: str, **options: Any) -> Any:
        """One request; the response of the HTTP library."""
        options.setdefault("headers", {"authorization": f"Bearer {self.token}"})
        return await self._conform.http.request(method, f"/gateway/{self.actor_id}/inspector/{path}", **options)

    async def get(self, path: str, **options: Any) -> Any:
        """The JSON of a GET that must succeed."""
        return self._json(await self.request("GET", path, **options))

    async def post(self, path: str, body: Any) -> Any:
        """The JSON of a POST that must succeed."""
        return self._json(await self.request("POST", path, json=body))

    @staticmethod
    def _json(response: Any) -> Any:
        assert response.status_code == 200, response.text
        return response.json()


async def inspect(conform: Any, name: str) -> Inspector:
    """The inspector of the test's actor of this name."""
    actor_id = await conform.get_or_create(name).resolve()
    # The token exists from the first start on; any inspector request, also a refused one, waits for it.
    await Inspector(conform, actor_id, "unknown").request("GET", "state")
    return Inspector(conform, actor_id, await inspector_token(conform, actor_id))


def query_url(conform: Any, name: str, path: str) -> str:
    """The query form of an actor path (INSP-002)."""
    return query_path(name, namespace=conform.namespace, method="getOrCreate", key=conform.key, path=path, pool=conform.pool)


async def replay(eventually: Any, inspector: Inspector, body: Any) -> Any:
    """The answer to a replay, asked for until the workflow is no longer in flight."""

    async def ask() -> Any:
        response = await inspector.request("POST", "workflow/replay", json=body)
        return response if response.status_code != 409 else None

    response = await eventually(ask, until=lambda answer: answer is not None, what="a replay that is accepted")
    assert response.status_code == 200, response.text
    return response.json()
