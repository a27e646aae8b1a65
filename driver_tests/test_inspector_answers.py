"""Suite inspector-answers: the answers of the inspector's HTTP API, member by member, at the borders of each value."""

from __future__ import annotations

import pytest

from driver_tests.falsy import FALSY
from driver_tests.inspecting import UNAUTHORIZED, inspect
from harness import any_encoding, capability, requirement, suite, timing
from harness.testing.interpreter import labels, latch, made, op, play, ref, trace, traced

pytestmark = [suite("inspector-answers"), any_encoding, capability("inspector")]


def failed(response):
    """Status and body of an answer."""
    return response.status_code, response.json()


@requirement("INSP-014", "INSP-016", "INSP-013")
@pytest.mark.parametrize("form", ["Basic {}", "Bearer {}x", "Bearer x{}", "Bearer Bearer {}", "{}x", "token={}"])
async def test_no_other_token(conform, form):
    """The right token in a wrong scheme, or with anything beside it, is a wrong token."""
    inspector = await inspect(conform, "counter")
    for method, path in (("GET", "state"), ("DELETE", "queue"), ("GET", "nothing")):
        response = await inspector.request(method, path, headers={"authorization": form.format(inspector.token)})
        assert failed(response) == (401, UNAUTHORIZED)


@requirement("INSP-014")
async def test_no_part_of_the_token(conform):
    """A beginning, an end and another case of the token are wrong tokens."""
    inspector = await inspect(conform, "counter")
    token = inspector.token
    for wrong in (token[:-1], token[1:], token[:1], token.swapcase()):
        response = await inspector.request("GET", "state", headers={"authorization": f"Bearer {wrong}"})
        assert failed(response) == (401, UNAUTHORIZED), wrong


@requirement("INSP-004")
@timing
async def test_requests_keep_the_actor_awake(conform, clock, witness):
    """Each request restarts the idle time: an actor that is asked again and again stays the one that it is, then it sleeps."""
    inspector = await inspect(conform, "sleep")
    for _ in range(4):
        await clock.sleep(0.7)  # the fixture sleeps after 1 s
        assert (await inspector.get("state"))["state"]["startCount"] == 1
    await clock.sleep(2.5)
    slept = (await inspector.get("state"))["state"]["startCount"] == 2
    witness.hit("it sleeps when nobody asks", slept)
    assert slept


@requirement("INSP-008")
@pytest.mark.parametrize("path", ["", "State", "state/", "queue/1", "database", "kv", "schedules", "workflow"])
async def test_no_other_route(conform, path):
    """What only resembles a route is none, for every method."""
    inspector = await inspect(conform, "counter")
    for method in ("GET", "POST", "PATCH", "DELETE", "PUT"):
        response = await inspector.request(method, path)
        found = {"group": "actor", "code": "not_found", "message": "Inspector route was not found", "metadata": None}
        assert failed(response) == (404, found), method


@requirement("INSP-030")
async def test_state_before_it_is_saved(conform):
    """The state is the one in memory, in the middle of an action that changes it."""
    actor = made(conform, state={"x": 1})
    call = conform.spawn(play(actor, op("set", at="state.x", value=0), latch("changed"), op("set", at="state.x", value=None)))
    await conform.latch("changed").arrived()
    inspector = await inspect(conform, "interpreter")
    assert await inspector.get("state") == {"state": {"programs": {}, "x": 0}, "isStateEnabled": True}
    await conform.latch("changed").release()
    await call
    assert await inspector.get("state") == {"state": {"programs": {}, "x": None}, "isStateEnabled": True}


@requirement("INSP-032", "INSP-034")
@pytest.mark.parametrize("state", [{"count": 0}, {"other": None}, {}, {"count": {"deep": [False, ""]}}, None, 0, []], ids=repr)
async def test_patch_replaces_everything(conform, state):
    """The new state is what was sent, with nothing of the old one; the next action sees it."""
    actor = conform.get_or_create("counter")
    await actor.action("increment", 5)
    inspector = await inspect(conform, "counter")
    assert failed(await inspector.request("PATCH", "state", json={"state": state})) == (200, {"ok": True})
    assert await inspector.get("state") == {"state": state, "isStateEnabled": True}
    if isinstance(state, dict) and "count" in state:
        assert await actor.action("getCount") == state["count"]


@requirement("INSP-033")
async def test_patch_is_a_change_of_state(conform):
    """The state-change hook runs for a patch, once, with the new state in place, and not for a body without state."""
    hook = {"onStateChange": [op("append", at="vars.seen", value=ref("state.x"))]}
    actor = made(conform, state={"x": 1}, **hook)
    await play(actor, op("set", at="vars.seen", value=[]))
    inspector = await inspect(conform, "interpreter")
    assert failed(await inspector.request("PATCH", "state", json={"state": {"programs": hook, "x": 2}})) == (200, {"ok": True})
    assert await play(actor, op("value", value=ref("vars.seen"))) == [2]
    for body in ({"other": 3}, {}):
        assert failed(await inspector.request("PATCH", "state", json=body)) == (200, {"ok": True})
    assert await play(actor, op("value", value=ref("vars.seen"))) == [2]


def connection(shown, **details):
    """One item of the list; a runtime may show no subscriptions on this route."""
    assert shown["details"].pop("subscriptions") in {0, details.pop("subscriptions", 0)}
    return shown == {"type": None, "id": shown["id"], "details": {"type": None, "stateEnabled": True, **details}}


@requirement("INSP-040", "INSP-041")
@pytest.mark.parametrize("value", FALSY.values(), ids=FALSY)
async def test_connections_with_falsy_values(conform, value):
    """Parameters and state that are falsy are shown as what they are."""
    actor = made(conform)
    inspector = await inspect(conform, "interpreter")
    async with conform.frames(actor, params=value, encoding="json") as socket:
        await socket.request(1, "exec", [op("set", at="conn.state", value=value)])
        await socket.answer(1)
        [shown] = (await inspector.get("connections"))["connections"]
        assert shown["id"] == socket.init.connection_id
        assert connection(shown, params=value, state=value, isHibernatable=True), shown


@requirement("INSP-040", "INSP-042")
async def test_all_kinds_of_connections(conform, eventually):
    """Client connections, raw sockets and calls in progress are listed, each with its own values, and inspector requests are not."""
    actor = made(conform, createConnState=[op("value", value={"of": ref("params.name")})])
    await actor.resolve()
    inspector = await inspect(conform, "interpreter")
    assert await inspector.get("connections") == {"connections": []}
    handle = conform.get_or_create("interpreter", params={"name": "call"})
    async with conform.frames(actor, params={"name": "client"}, encoding="json") as socket:
        await socket.subscribe("event")
        await socket.subscribe("other")
        await socket.exactly()
        raw = await actor.web_socket()
        call = conform.spawn(play(handle, latch("in a call")))
        await conform.latch("in a call").arrived()
        listed = (await inspector.get("connections"))["connections"]
        client, own = [next(one for one in listed if (one["details"]["params"] or {}).get("name") == name) for name in ("client", "call")]
        other = next(one for one in listed if one["details"]["params"] is None)
        assert client["id"] == socket.init.connection_id and len(listed) == 3
        assert connection(client, params={"name": "client"}, state={"of": "client"}, isHibernatable=True, subscriptions=2), client
        assert connection(own, params={"name": "call"}, state={"of": "call"}, isHibernatable=False), own
        assert connection(other, params=None, state=other["details"].get("state"), isHibernatable=False), other
        await conform.latch("in a call").release()
        await call
        await raw.close()
        await eventually(
            lambda: inspector.get("connections"),
            until=lambda seen: [one["id"] for one in seen["connections"]] == [client["id"]],
            what="the call and the raw socket to leave",
        )


@requirement("INSP-045")
async def test_names_of_actions(conform):
    """All names, in ascending order of their text, capitals before small letters."""
    assert await (await inspect(conform, "interpreter")).get("rpcs") == {"rpcs": ["destroy", "exec", "setProgram", "triggerSleep"]}
    for name in ("counter", "queueActor", "kvActor", "dbActorRaw", "connStateActor", "nestedActionActor"):
        names = (await (await inspect(conform, name)).get("rpcs"))["rpcs"]
        assert names == sorted(set(names)), name


@requirement("INSP-050", "INSP-051")
@pytest.mark.parametrize("value", FALSY.values(), ids=FALSY)
async def test_falsy_arguments_and_outputs(conform, value):
    """A falsy argument in a list is an argument, a falsy output an output; so is a falsy argument that is no list."""
    inspector = await inspect(conform, "counter")
    # Whether null is a result or none is left to the runtime.
    answers = [{"output": value}] if value is not None else [{"output": None}, {}]
    assert await inspector.post("action/setCount", {"args": [value]}) in answers
    assert (await inspector.get("state"))["state"] == {"count": value}
    if not isinstance(value, list):
        await inspector.post("action/setCount", {"args": [7]})
        assert await inspector.post("action/setCount", {"args": value}) in answers
        assert (await inspector.get("state"))["state"] == {"count": value}


@requirement("INSP-050", "INSP-051", "INSP-052")
@pytest.mark.parametrize(
    ("body", "output"),
    [({"args": [[1, 2]]}, [1, 2]), ({"args": [[]]}, []), ({"args": {"a": 1}}, {"a": 1}), ({"properties": {"a": 1}}, {"a": 1}),
     ({"properties": {}}, {}), ({"args": "text"}, "text")],
    ids=["list", "empty-list", "object", "properties", "no-properties", "text"],
)  # fmt: skip
async def test_one_argument(conform, body, output):
    """A list in the list is one argument, an object is one argument, given as `args` or as `properties`."""
    assert await (await inspect(conform, "counter")).post("action/setCount", body) == {"output": output}


@requirement("INSP-050")
async def test_an_action_without_a_result(conform):
    """The answer of an action that returns nothing is an empty object; what is falsy is a result."""
    inspector = await inspect(conform, "interpreter")
    assert await inspector.post("action/setProgram", {"args": ["onSleep", []]}) == {}
    for value in (False, 0, "", []):
        assert await inspector.post("action/exec", {"args": [[op("value", value=value)]]}) == {"output": value}


@requirement("INSP-052", "INSP-053", "INSP-007")
@pytest.mark.parametrize("value", [None, 3, "a", [], True], ids=repr)
async def test_properties_are_an_object(conform, value):
    """Anything else is refused, and beside `args` whatever both are; nothing runs."""
    inspector = await inspect(conform, "counter")
    refused = {"error": "properties must be an object"}
    if value is not None:
        assert failed(await inspector.request("POST", "action/setCount", json={"properties": value})) == (400, refused)
    both = {"error": "use either args or properties, not both"}
    for body in ({"args": [1], "properties": value}, {"args": [], "properties": {"a": 1}}):
        assert failed(await inspector.request("POST", "action/setCount", json=body)) == (400, both)
    assert await inspector.get("state") == {"state": {"count": 0}, "isStateEnabled": True}


@requirement("INSP-054", "INSP-006")
@pytest.mark.parametrize(("path", "name"), [("nope", "nope"), ("Exec", "Exec"), ("toString", "toString")])
async def test_unknown_actions(conform, path, name):
    """The error has the name in its text."""
    response = await (await inspect(conform, "interpreter")).request("POST", f"action/{path}", json={})
    status, error = failed(response)
    assert (status, error["group"], error["code"]) == (404, "action", "action_not_found")
    assert error["message"] == f"Action {name} not found" and set(error) == {"group", "code", "message", "metadata"}


@requirement("INSP-056", "INSP-006")
@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        ({"message": "told", "code": "mine", "metadata": {"a": 0}}, 400, ("user", "mine", "told", {"a": 0})),
        ({"message": "told"}, 400, ("user", "user_error", "told", None)),
        ({"kind": "internal", "message": "secret"}, 500, ("actor", "internal_error", "secret", None)),
        ({"kind": "forbidden"}, 403, ("auth", "forbidden", "Forbidden", None)),
    ],
    ids=["user", "user-plain", "internal", "forbidden"],
)
async def test_errors_of_a_handler(conform, error, status, body):
    """Group, code, message, metadata and status of what an action throws; nothing is masked."""
    response = await (await inspect(conform, "interpreter")).request("POST", "action/exec", json={"args": [[op("throw", **error)]]})
    assert failed(response) == (status, dict(zip(("group", "code", "message", "metadata"), body, strict=True)))


@requirement("INSP-058", "CONN-002")
async def test_an_action_without_a_connection(conform, boundary):
    """No connection and no connection hook for the action; its change of state lives on."""
    hooks = {name: [trace(name)] for name in ("onBeforeConnect", "createConnState", "onConnect", "onDisconnect")}
    actor = made(conform, state={"n": 1}, **hooks)
    await actor.resolve()
    inspector = await inspect(conform, "interpreter")
    program = [op("incr", at="state.n", as_="n"), op("conns", as_="all"), op("value", value=[ref("n"), ref("all"), ref("conn")])]
    assert await inspector.post("action/exec", {"args": [program]}) == {"output": [2, [], None]}
    assert await labels(conform) == []
    await boundary.sleep(actor, via="api")
    assert (await inspector.get("state"))["state"]["n"] == 2
    await play(made(conform))
    assert [record["label"] for record in await traced(conform)][:3] == ["onBeforeConnect", "createConnState", "onConnect"]


@requirement("INSP-110", "INSP-111", "INSP-031")
async def test_summary_is_the_single_routes(conform):
    """Every member of the summary is what the route of that part answers, with a connection open and messages queued."""
    actor = made(conform, state={"x": 0}, createConnState=[op("value", value=None)])
    await actor.resolve()
    inspector = await inspect(conform, "interpreter")
    for number in range(3):
        await inspector.post("queue", {"name": "jobs", "body": number})
    async with conform.frames(actor, params=[0], encoding="json") as socket:
        await socket.subscribe("event")
        await socket.exactly()
        expected = {**await inspector.get("state"), **await inspector.get("connections"), **await inspector.get("rpcs")}
        assert len(expected["connections"]) == 1
        summary = await inspector.get("summary")
        assert isinstance(summary.pop("isDatabaseEnabled"), bool)
        workflow = {"isWorkflowEnabled": False, "workflowState": None, "workflowHistory": None}
        assert summary == {**expected, **workflow, "queueSize": 3}
    stateless = await (await inspect(conform, "statelessActor")).get("summary")
    assert "state" not in stateless and stateless["isStateEnabled"] is False
