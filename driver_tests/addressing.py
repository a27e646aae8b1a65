"""Gateway URLs written by hand, part by part."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from driver_tests.managing import ALONE
from harness.testing.interpreter import op, ref

SEE = [op("return", value={"body": ref("request")})]
"""A program for `onRequest`: the answer is the request."""
NOT_FOUND = ("actor.not_found", "The actor does not exist or was destroyed.")


def query(conform: Any, *, drop: tuple[str, ...] | list[str] = (), **members: str) -> str:
    """The query of a `getOrCreate` with these changes: names with an underscore for each dash, values as they are written in the URL."""
    given = {"namespace": conform.namespace, "method": "getOrCreate", "pool": conform.pool, "key": quote(conform.key[0], safe="")}
    given |= {name.replace("_", "-"): value for name, value in members.items()}
    return "&".join(f"rvt-{name}={value}" for name, value in given.items() if name not in drop)


async def post(conform: Any, url: str, content: bytes = b'{"args":[]}', **headers: str) -> Any:
    """An action call in json."""
    return await conform.http.post(url, content=content, headers={**ALONE, "x-rivet-encoding": "json", **headers})


async def seen(conform: Any, url: str, **options: Any) -> Any:
    """The request as an interpreter actor with the program `SEE` saw it."""
    response = await conform.http.get(url, **options)
    assert response.status_code == 200, response.text
    return response.json()
