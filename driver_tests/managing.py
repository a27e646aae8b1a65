"""Calls of the manager as they are: no client in between, errors with all that they say."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from harness.testing.codecs import encode_input

if TYPE_CHECKING:
    import httpx

ALONE = {"connection": "close"}
"""A target may end the connection with the answer when it did not read the body, so that none is used twice."""
RAY = re.compile(r"[0-9a-z]{30}")


async def call(conform: Any, method: str, path: str, *, query: Any = None, scoped: bool = True, headers: Any = None, **options: Any) -> Any:
    """One REST call; `scoped` adds the namespace."""
    params = {**({"namespace": conform.namespace} if scoped else {}), **(query or {})}
    given = {**ALONE, **({"authorization": f"Bearer {conform.token}"} if conform.token else {}), **(headers or {})}
    return await conform.http.request(method, path, params=params, headers=given, **options)


def creation(conform: Any, name: str = "counter", **members: Any) -> dict[str, Any]:
    """The body of a create call; `given` becomes its input."""
    given = {"input": base64.b64encode(encode_input(members.pop("given"))).decode()} if "given" in members else {}
    key = conform.unique_key()[0]
    return {"name": name, "key": key, "runner_name_selector": conform.pool, "crash_policy": "sleep", **given, **members}


async def created(conform: Any, name: str = "counter", *, method: str = "PUT", query: Any = None, **members: Any) -> dict[str, Any]:
    """The record of a new actor."""
    response = await call(conform, method, "/actors", query=query, json=creation(conform, name, **members))
    assert response.status_code == 200, response.text
    actor: dict[str, Any] = response.json()["actor"]
    return actor


async def listed(conform: Any, **query: Any) -> list[dict[str, Any]]:
    """The actors of a list call."""
    response = await call(conform, "GET", "/actors", query=query)
    assert response.status_code == 200, response.text
    actors: list[dict[str, Any]] = response.json()["actors"]
    return actors


def ids(actors: list[dict[str, Any]]) -> list[str]:
    """Their ids, in order."""
    return [actor["actor_id"] for actor in actors]


def refused(response: httpx.Response, status: int, name: str, message: str | None = None, metadata: Any = None) -> None:
    """The answer is exactly this structured error; without `metadata` it has none. `api.bad_request` names a reason of any text."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].partition(";")[0] == "application/json"
    assert RAY.fullmatch(response.headers["x-rivet-ray-id"])
    body = response.json()
    assert f"{body['group']}.{body['code']}" == name, body
    if name == "api.bad_request":
        metadata = {"reason": body["metadata"]["reason"]}
        message = f"Request is invalid: {metadata['reason']}"
    expected = {"group": body["group"], "code": body["code"], "message": message, **({} if metadata is None else {"metadata": metadata})}
    assert body == expected


async def own_namespace(conform: Any, suffix: str = "", *, pool: bool = True) -> str:
    """A new namespace with a configured pool that nobody serves; needs the capability `namespaces`."""
    name = (conform.unique_key()[0].replace("_", "-").lower()[-40:] + suffix).strip("-")
    name = re.sub("-+", "-", re.sub("[^a-z0-9-]", "-", name)).strip("-")
    made = await call(conform, "POST", "/namespaces", scoped=False, json={"name": name, "display_name": "x"})
    assert made.status_code == 200, made.text
    if pool:
        [datacenter, *_] = (await call(conform, "GET", "/datacenters", scoped=False)).json()["datacenters"]
        body = {"datacenters": {datacenter["name"]: {"normal": {}}}}
        put = await call(conform, "PUT", "/runner-configs/idle", query={"namespace": name}, json=body)
        assert put.status_code == 200, put.text
    return name
