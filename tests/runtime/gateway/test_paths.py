import pytest

from runtime.gateway.paths import ActorPath, Kind, parse_actor_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", ActorPath(Kind.BANNER)),
        ("/health", ActorPath(Kind.HEALTH)),
        ("/health/", ActorPath(Kind.UNKNOWN)),
        ("/metrics", ActorPath(Kind.METRICS)),
        ("/action/add", ActorPath(Kind.ACTION, "add")),
        ("/action/a.b.c", ActorPath(Kind.ACTION, "a.b.c")),
        ("/action/%C3%BC%2F", ActorPath(Kind.ACTION, "ü/")),
        ("/action/", ActorPath(Kind.UNKNOWN)),
        ("/action/a/b", ActorPath(Kind.UNKNOWN)),
        ("/action/%zz", ActorPath(Kind.UNREADABLE)),
        ("/action/%ff", ActorPath(Kind.UNREADABLE)),
        ("/action/a%", ActorPath(Kind.UNREADABLE)),
        ("/queue/%61", ActorPath(Kind.QUEUE, "a")),
        ("/queue/", ActorPath(Kind.UNKNOWN)),
        ("/request", ActorPath(Kind.REQUEST, "/")),
        ("/request/", ActorPath(Kind.REQUEST, "/")),
        ("/request/a%20b/c", ActorPath(Kind.REQUEST, "/a%20b/c")),
        ("/requestfoo", ActorPath(Kind.UNKNOWN)),
        ("/inspector/state", ActorPath(Kind.INSPECTOR, "/inspector/state")),
        ("/inspector", ActorPath(Kind.UNKNOWN)),
        ("/connect", ActorPath(Kind.UNKNOWN)),
        ("/websocket/x", ActorPath(Kind.UNKNOWN)),
    ],
)
def test_routes(path, expected):
    assert parse_actor_path(path) == expected
