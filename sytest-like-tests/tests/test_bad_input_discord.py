"""Bad input to the Discord-shaped API: Discord's own error shape, nothing stored, no error logged.

Sources: reference discord-gateway.md §5 (codes, limits, error tree), design §6.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from harness.matching import assert_discord_error, assert_form_error
from harness.nexus_api import PASSWORD, fresh_name
from harness.playground import Playground, look
from harness.scene import Clients


@dataclass(frozen=True)
class Case:
    """One request; `path` may name playground fields, `field` is where a form error must sit."""

    name: str
    method: str
    path: str
    raw: bytes | None
    statuses: tuple[int, ...]
    codes: tuple[int, ...]
    field: tuple[str, ...] = ()
    as_who: str = "owner_token"

    def __str__(self) -> str:
        return self.name


SAY = "/channels/{channel}/messages"


def encode(body: object) -> bytes | None:
    return body if isinstance(body, bytes) or body is None else json.dumps(body).encode()


def bad(
    name: str, method: str, path: str, body: object, status: int | tuple[int, ...], *codes: int,
    as_who: str = "owner_token",
) -> Case:
    statuses = status if isinstance(status, tuple) else (status,)
    return Case(name, method, path, encode(body), statuses, codes, as_who=as_who)


def form(name: str, method: str, path: str, body: object, *field: str, as_who: str = "owner_token") -> Case:
    """A case that ends in 50035 with the error at `field`."""
    return Case(name, method, path, encode(body), (400,), (50035,), field, as_who)


def nested(depth: int) -> bytes:
    return b'{"content":"x","deep":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"


NOT_JSON = [
    bad("cut off", "POST", SAY, b'{"content": "x"', 400, 50109),
    bad("empty body", "POST", SAY, b"", 400),
    bad("not JSON at all", "POST", SAY, b"<x/>", 400, 50109),
    bad("two values", "POST", SAY, b'{"content":"x"} 1', 400, 50109),
    bad("invalid UTF-8", "POST", SAY, b'{"content":"\xff\xfe"}', 400, 50109),
    bad("raw NUL", "POST", SAY, b'{"content":"a\x00b"}', 400, 50109),
    bad("lone surrogate", "POST", SAY, b'{"content":"\\ud800"}', 400),
    bad("NaN", "POST", SAY, b'{"content":"x","flags":NaN}', 400, 50109),
    bad("nesting of 10,000", "POST", SAY, nested(10_000), 400),
    bad("array", "POST", SAY, [], 400, 50035, 50109),
    bad("string", "POST", SAY, "text", 400, 50035, 50109),
    bad("guild cut off", "POST", "/guilds", b"{", 400, 50109),
    bad("register cut off", "POST", "/auth/register", b"{", 400, 50109, as_who=""),
    bad("request of 30 MiB", "POST", SAY, {"content": "x" * 30 * 2**20}, 413),
]

FORMS = [
    bad("empty message", "POST", SAY, {"content": ""}, 400, 50006),
    bad("no content", "POST", SAY, {}, 400, 50006),
    form("2001 characters", "POST", SAY, {"content": "é" * 2001}, "content"),
    form("content is a list", "POST", SAY, {"content": ["x"]}, "content"),
    form("content is an object", "POST", SAY, {"content": {}}, "content"),
    form("tts is a string", "POST", SAY, {"content": "x", "tts": "perhaps"}, "tts"),
    form("flags is a float", "POST", SAY, {"content": "x", "flags": 1.5}, "flags"),
    form("flags is huge", "POST", SAY, b'{"content":"x","flags":1' + b"0" * 40 + b"}", "flags"),
    form("nonce of 26", "POST", SAY, {"content": "x", "nonce": "n" * 26}, "nonce"),
    form("reference is no snowflake", "POST", SAY,
         {"content": "x", "message_reference": {"message_id": "abc"}}, "message_reference", "message_id"),
    form("reference is a float", "POST", SAY,
         {"content": "x", "message_reference": {"message_id": 1.5}}, "message_reference", "message_id"),
    form("edit to 2001", "PATCH", SAY + "/{message}", {"content": "x" * 2001}, "content"),
    bad("edit to nothing", "PATCH", SAY + "/{message}", {"content": ""}, 400, 50006),
    form("guild without a name", "POST", "/guilds", {}, "name"),
    form("guild name of 1", "POST", "/guilds", {"name": "x"}, "name"),
    form("guild name of 101", "POST", "/guilds", {"name": "x" * 101}, "name"),
    form("guild name is a number", "POST", "/guilds", {"name": 5}, "name"),
    form("channel without a name", "POST", "/guilds/{guild}/channels", {"type": 0}, "name"),
    form("channel name of 101", "POST", "/guilds/{guild}/channels", {"name": "x" * 101}, "name"),
    form("channel of unknown type", "POST", "/guilds/{guild}/channels", {"name": "x", "type": 99}, "type"),
    form("channel type is a word", "POST", "/guilds/{guild}/channels", {"name": "x", "type": "text"}, "type"),
    form("topic of 1025", "POST", "/guilds/{guild}/channels", {"name": "x", "topic": "t" * 1025}, "topic"),
    form("channel renamed to nothing", "PATCH", "/channels/{channel}", {"name": ""}, "name"),
    form("limit 0", "GET", SAY + "?limit=0", None, "limit"),
    form("limit 101", "GET", SAY + "?limit=101", None, "limit"),
    form("limit is a word", "GET", SAY + "?limit=many", None, "limit"),
    form("before is no snowflake", "GET", SAY + "?before=yesterday", None, "before"),
    form("max_age negative", "POST", "/channels/{channel}/invites", {"max_age": -1}, "max_age"),
    form("max_uses 101", "POST", "/channels/{channel}/invites", {"max_uses": 101}, "max_uses"),
    form("application without a name", "POST", "/applications", {}, "name"),
]

UNKNOWN = [
    bad("unknown channel", "GET", "/channels/{unknown}", None, 404, 10003),
    bad("message to unknown channel", "POST", "/channels/{unknown}/messages", {"content": "x"}, 404, 10003),
    bad("unknown guild", "GET", "/guilds/{unknown}", None, 404, 10004),
    bad("channels of unknown guild", "GET", "/guilds/{unknown}/channels", None, 404, 10004),
    bad("unknown message", "GET", SAY + "/{unknown}", None, 404, 10008),
    bad("edit unknown message", "PATCH", SAY + "/{unknown}", {"content": "x"}, 404, 10008),
    bad("delete unknown message", "DELETE", SAY + "/{unknown}", None, 404, 10008),
    bad("react to unknown message", "PUT", SAY + "/{unknown}/reactions/%F0%9F%91%8D/@me", None, 404, 10008),
    bad("react with no emoji", "PUT", SAY + "/{message}/reactions/word/@me", None, 400, 10014),
    bad("unknown invite", "GET", "/invites/nosuchcode", None, 404, 10006),
    bad("accept unknown invite", "POST", "/invites/nosuchcode", {}, 404, 10006),
    bad("id is a word", "GET", "/channels/general", None, (400, 404)),
    bad("id overflows 64 bits", "GET", "/channels/99999999999999999999999", None, (400, 404)),
    bad("id is negative", "GET", "/channels/-1", None, (400, 404)),
    bad("id with NUL", "GET", "/channels/%00", None, (400, 404)),
    bad("id with invalid UTF-8", "GET", "/channels/%FF", None, (400, 404)),
    bad("id of 5000 digits", "GET", "/channels/" + "9" * 5000, None, (400, 404, 414)),
    bad("guild of a stranger", "GET", "/guilds/{guild}", None, (403, 404), 50001, 10004,
        as_who="stranger_token"),
    bad("channel of a stranger", "GET", "/channels/{channel}", None, 403, 50001, as_who="stranger_token"),
    bad("history of a stranger", "GET", SAY, None, 403, 50001, as_who="stranger_token"),
    bad("message of a stranger", "POST", SAY, {"content": "x"}, 403, 50001, as_who="stranger_token"),
    bad("edit of another's message", "PATCH", SAY + "/{message}", {"content": "x"}, 403, 50005,
        as_who="member_token"),
    bad("delete of another's message", "DELETE", SAY + "/{message}", None, 403, 50013, as_who="member_token"),
    bad("channel made by a member", "POST", "/guilds/{guild}/channels", {"name": "x"}, 403, 50013,
        as_who="member_token"),
    bad("channel deleted by a member", "DELETE", "/channels/{channel}", None, 403, 50013, as_who="member_token"),
]


@pytest.mark.parametrize("case", NOT_JSON + FORMS + UNKNOWN, ids=str)
async def test_refused_and_nothing_stored(case: Case, ground: Playground, clients: Clients) -> None:
    before = await look(ground, clients)
    api = clients.nexus
    if case.as_who:
        api = api.with_token(str(getattr(ground, case.as_who)))

    reply = await api.call(case.method, ground.fill(case.path), raw=case.raw)

    assert reply.status in case.statuses, f"expected {case.statuses} {case.codes}: {reply}"
    body = assert_discord_error(reply, reply.status, None)
    assert not case.codes or body["code"] in case.codes, f"expected {case.codes}: {reply}"
    if case.field:
        assert_form_error(reply, *case.field)
    assert await look(ground, clients) == before, f"{case.name}: something was stored"


REGISTER_FORMS = [
    ("no username", {"password": PASSWORD}, "username"),
    ("username is a number", {"username": 5, "password": PASSWORD}, "username"),
    ("upper case and space", {"username": "Not Allowed", "password": PASSWORD}, "username"),
    ("empty username", {"username": "", "password": PASSWORD}, "username"),
    ("NUL in username", {"username": "a\x00b", "password": PASSWORD}, "username"),
    ("username of 300", {"username": "u" * 300, "password": PASSWORD}, "username"),
    ("the steward's name", {"username": "nexus", "password": PASSWORD}, "username"),
    ("no password", {"username": "somebody-new"}, "password"),
    ("password is a list", {"username": "somebody-new", "password": []}, "password"),
    ("empty password", {"username": "somebody-new", "password": ""}, "password"),
]


@pytest.mark.parametrize(("name", "body", "field"), REGISTER_FORMS, ids=[c[0] for c in REGISTER_FORMS])
async def test_register_refuses(name: str, body: dict[str, object], field: str, clients: Clients) -> None:
    assert_form_error(await clients.nexus.call("POST", "/auth/register", body=body), field)


async def test_register_refuses_a_taken_name(clients: Clients) -> None:
    account = await clients.nexus.register()
    body = {"username": account.name, "password": PASSWORD}
    assert_form_error(await clients.nexus.call("POST", "/auth/register", body=body), "username")


async def test_wrong_logins_look_alike(clients: Clients) -> None:
    """An unknown name and a wrong password must not be told apart."""
    account = await clients.nexus.register()
    replies = [
        await clients.nexus.call("POST", "/auth/login", body={"login": name, "password": "wrong"})
        for name in (account.name, fresh_name("nobody"))
    ]
    for reply in replies:
        assert reply.status in (400, 401), str(reply)
        assert_discord_error(reply, reply.status, None)
    assert replies[0].body == replies[1].body


@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer forged", "Bot forged", "Bearer " + "x" * 5000, "Bearer ", "Basic YTpi", "\u00e9"],
    ids=["none", "forged", "forged bot", "5000 bytes", "empty", "basic", "not ASCII"],
)
async def test_tokens_that_are_none(
    authorization: str | None, ground: Playground, clients: Clients
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    for method, path in [("GET", "/users/@me"), ("GET", "/channels/{channel}"), ("POST", SAY)]:
        raw = b'{"content":"x"}' if method == "POST" else None
        reply = await clients.nexus.call(method, ground.fill(path), raw=raw, headers=headers)
        body = assert_discord_error(reply, 401, 0)
        assert body["message"] == "401: Unauthorized"


@pytest.mark.parametrize("prefix", ["/api", "/api/v1", "/api/v9", "/api/v10"])
async def test_unknown_routes(prefix: str, clients: Clients) -> None:
    for method in ("GET", "POST", "PATCH", "DELETE"):
        reply = await clients.nexus.wire.send(method, prefix + "/no/such/route")
        assert assert_discord_error(reply, 404, 0)["message"] == "404: Not Found"


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/users/@me"), ("PUT", "/guilds"), ("PATCH", "/gateway"), ("GET", "/auth/login")],
)
async def test_known_route_wrong_method(method: str, path: str, clients: Clients) -> None:
    reply = await clients.nexus.call(method, path)
    assert assert_discord_error(reply, 405, 0)["message"] == "405: Method Not Allowed"
