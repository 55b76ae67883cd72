"""Bad input to the Matrix API: a precise 4xx in Matrix's own format, nothing stored, no error logged.

Sources: reference conformance-notes.md ("HTTP, JSON and errors", "Room creation"), Complement's
TestJson, TestUnknownEndpoints, TestRequestEncodingFails, TestEvent. Attack 32 of attacks.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from harness.matching import assert_matrix_error
from harness.matrix_api import V3
from harness.nexus_api import fresh_name
from harness.playground import Playground, look
from harness.scene import Clients

TOO_BIG_AN_INTEGER = 2**53
EVENT_BYTES_MAX = 65_536


@dataclass(frozen=True)
class Case:
    """One request; `path` is below /_matrix/client/v3 and may name playground fields."""

    name: str
    method: str
    path: str
    raw: bytes | None
    statuses: tuple[int, ...]
    errcodes: tuple[str, ...]
    headers: dict[str, str] = field(default_factory=dict)
    with_token: bool = True

    def __str__(self) -> str:
        return self.name


SEND = "/rooms/{plain_room}/send/m.room.message/bad-txn"
STATE = "/rooms/{plain_room}/state/org.example.bad/key"


def bad(
    name: str,
    method: str,
    path: str,
    body: object,
    status: int | tuple[int, ...],
    *errcodes: str,
    with_token: bool = True,
) -> Case:
    """A case with a body given as bytes, as something to encode, or None for no body."""
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    statuses = status if isinstance(status, tuple) else (status,)
    return Case(name, method, path, raw, statuses, errcodes, with_token=with_token)


def nested(depth: int) -> bytes:
    return b'{"msgtype":"m.text","body":"x","deep":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"


def nested_arrays(depth: int) -> bytes:
    return b'{"msgtype":"m.text","body":"x","deep":' + b"[" * depth + b"]" * depth + b"}"


def message_with(extra: bytes) -> bytes:
    return b'{"msgtype":"m.text","body":"x",' + extra + b"}"


NOT_JSON = [
    bad("cut off", "PUT", SEND, b'{"msgtype": "m.text", "body"', 400, "M_NOT_JSON"),
    bad("no body", "PUT", SEND, b"", 400, "M_NOT_JSON"),
    bad("not JSON at all", "PUT", SEND, b"<body/>", 400, "M_NOT_JSON"),
    bad("two values", "PUT", SEND, b"{} {}", 400, "M_NOT_JSON"),
    bad("single quotes", "PUT", SEND, b"{'msgtype':'m.text'}", 400, "M_NOT_JSON"),
    bad("invalid UTF-8", "PUT", SEND, b'{"msgtype":"m.text","body":"\xff\xfe"}', 400, "M_NOT_JSON"),
    bad("overlong UTF-8", "PUT", SEND, b'{"msgtype":"m.text","body":"\xc0\xaf"}', 400, "M_NOT_JSON"),
    bad("UTF-16", "PUT", SEND, '{"body":"x"}'.encode("utf-16"), 400, "M_NOT_JSON"),
    bad("raw NUL in a string", "PUT", SEND, b'{"msgtype":"m.text","body":"a\x00b"}', 400, "M_NOT_JSON"),
    bad("NUL after the object", "PUT", SEND, b'{"msgtype":"m.text","body":"a"}\x00', 400, "M_NOT_JSON"),
    bad("lone surrogate", "PUT", SEND, b'{"msgtype":"m.text","body":"\\ud800"}', 400),
    bad("NaN", "PUT", SEND, message_with(b'"n":NaN'), 400),
    bad("Infinity", "PUT", SEND, message_with(b'"n":-Infinity'), 400),
    bad("nesting of 10,000 objects", "PUT", SEND, nested(10_000), 400),
    bad("nesting of 30,000 arrays", "PUT", SEND, nested_arrays(30_000), 400),
    bad("state cut off", "PUT", STATE, b"{", 400, "M_NOT_JSON"),
    bad("createRoom cut off", "POST", "/createRoom", b"{", 400, "M_NOT_JSON"),
    bad("login cut off", "POST", "/login", b"{", 400, "M_NOT_JSON", with_token=False),
    bad("register cut off", "POST", "/register", b"{", 400, "M_NOT_JSON", with_token=False),
]

BAD_JSON = [
    bad("array", "PUT", SEND, [], 400, "M_BAD_JSON"),
    bad("string", "PUT", SEND, "text", 400, "M_BAD_JSON"),
    bad("null", "PUT", SEND, b"null", 400, "M_BAD_JSON"),
    bad("number", "PUT", SEND, 7, 400, "M_BAD_JSON"),
    bad("state as array", "PUT", STATE, [], 400, "M_BAD_JSON"),
    bad("float", "PUT", SEND, message_with(b'"n":1.5'), 400, "M_BAD_JSON"),
    bad("float in state", "PUT", STATE, b'{"n":0.1}', 400, "M_BAD_JSON"),
    bad("float in a list", "PUT", SEND, message_with(b'"n":[{"m":2.25}]'), 400, "M_BAD_JSON"),
    bad("huge float", "PUT", SEND, message_with(b'"n":1e400'), 400),
    bad("2^53", "PUT", SEND, message_with(b'"n":%d' % TOO_BIG_AN_INTEGER), 400, "M_BAD_JSON"),
    bad("-2^53", "PUT", SEND, message_with(b'"n":-%d' % TOO_BIG_AN_INTEGER), 400, "M_BAD_JSON"),
    bad("2^64", "PUT", SEND, message_with(b'"n":%d' % 2**64), 400, "M_BAD_JSON"),
    bad("10^400", "PUT", SEND, message_with(b'"n":1' + b"0" * 400), 400),
    bad("msgtype is a number", "PUT", SEND, {"msgtype": 5, "body": "x"}, 400, "M_BAD_JSON"),
    bad("body is an object", "PUT", SEND, {"msgtype": "m.text", "body": {}}, 400, "M_BAD_JSON"),
    bad("createRoom array", "POST", "/createRoom", [], 400, "M_BAD_JSON"),
    bad("name is a number", "POST", "/createRoom", {"name": 5}, 400, "M_BAD_JSON"),
    bad("room_version is a number", "POST", "/createRoom", {"room_version": 12}, 400, "M_BAD_JSON"),
    bad("invite is a string", "POST", "/createRoom", {"invite": "@a:b"}, 400, "M_BAD_JSON"),
    bad("initial_state is a string", "POST", "/createRoom", {"initial_state": "x"}, 400, "M_BAD_JSON"),
    bad("unknown preset", "POST", "/createRoom", {"preset": "no_such"}, 400),
    bad("float in initial_state", "POST", "/createRoom",
        {"initial_state": [{"type": "org.example.t", "content": {"n": 1.5}}]}, 400, "M_BAD_JSON"),
    bad("invitee is no user id", "POST", "/createRoom", {"invite": ["nobody"]}, 400),
    bad("unknown room version", "POST", "/createRoom", {"room_version": "no-such"}, 400,
        "M_UNSUPPORTED_ROOM_VERSION"),
    bad("membership is a number", "PUT", "/rooms/{plain_room}/state/m.room.member/{matrix_user}",
        {"membership": 5}, 400),
    bad("membership unknown", "PUT", "/rooms/{plain_room}/state/m.room.member/{matrix_user}",
        {"membership": "frozen"}, (400, 403)),
    bad("power levels as strings", "PUT", "/rooms/{plain_room}/state/m.room.power_levels",
        {"users_default": "100"}, (400, 403)),
    bad("another create event", "PUT", "/rooms/{plain_room}/state/m.room.create",
        {"room_version": "12"}, (400, 403)),
    bad("invite without user_id", "POST", "/rooms/{plain_room}/invite", {}, 400),
    bad("invite user_id is a number", "POST", "/rooms/{plain_room}/invite", {"user_id": 5}, 400, "M_BAD_JSON"),
    bad("typing is a string", "PUT", "/rooms/{plain_room}/typing/{matrix_user}", {"typing": "yes"}, 400, "M_BAD_JSON"),
    bad("login type is a number", "POST", "/login", {"type": 5}, 400, with_token=False),
    bad("login type unknown", "POST", "/login", {"type": "org.example.none"}, 400, "M_UNKNOWN", "M_INVALID_PARAM",
        with_token=False),
    bad("password is a list", "POST", "/login",
        {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "a"}, "password": []},
        400, with_token=False),
]

TOO_LARGE = [
    bad("event over 64 KiB", "PUT", SEND, {"msgtype": "m.text", "body": "x" * EVENT_BYTES_MAX}, 413, "M_TOO_LARGE"),
    # Small before the server adds sender, hashes and signature, too large after.
    bad("event just over 64 KiB when signed", "PUT", SEND,
        {"msgtype": "m.text", "body": "x" * (EVENT_BYTES_MAX - 100)}, 413, "M_TOO_LARGE"),
    bad("state over 64 KiB", "PUT", STATE, {"x": "y" * EVENT_BYTES_MAX}, 413, "M_TOO_LARGE"),
    bad("request of 3 MiB", "PUT", SEND, {"msgtype": "m.text", "body": "x" * 3 * 2**20}, 413, "M_TOO_LARGE"),
    bad("type of 256 bytes", "PUT", "/rooms/{plain_room}/send/" + "t" * 256 + "/bad", {}, (400, 413)),
    bad("type of 128 two-byte characters", "PUT",
        "/rooms/{plain_room}/send/" + "%C3%A9" * 128 + "/bad", {}, (400, 413)),
    bad("state key of 256 bytes", "PUT",
        "/rooms/{plain_room}/state/org.example.bad/" + "k" * 256, {}, (400, 413)),
    bad("room id of 300 bytes", "PUT", "/rooms/!" + "r" * 300 + "/send/m.room.message/bad",
        {"msgtype": "m.text", "body": "x"}, (400, 403, 404)),
    bad("user id of 300 bytes", "POST", "/rooms/{plain_room}/invite",
        {"user_id": "@" + "u" * 300 + ":localhost"}, (400, 413)),
    bad("username of 300 bytes", "POST", "/register",
        {"username": "u" * 300, "password": "p", "auth": {"type": "m.login.dummy"}}, 400,
        "M_INVALID_USERNAME", with_token=False),
]

BAD_NAMES = [
    bad("NUL in the room id", "PUT", "/rooms/%00/send/m.room.message/bad", {}, (400, 403, 404)),
    bad("invalid UTF-8 in the path", "PUT", "/rooms/%FF%FE/send/m.room.message/bad", {}, (400, 403, 404)),
    bad("unknown room", "PUT", "/rooms/!nosuchroom/send/m.room.message/bad",
        {"msgtype": "m.text", "body": "x"}, (403, 404)),
    bad("NUL in the username", "POST", "/register",
        {"username": "a\x00b", "password": "p", "auth": {"type": "m.login.dummy"}}, 400,
        "M_INVALID_USERNAME", with_token=False),
    bad("space in the username", "POST", "/register",
        {"username": "a b", "password": "p", "auth": {"type": "m.login.dummy"}}, 400,
        "M_INVALID_USERNAME", with_token=False),
    bad("dir is neither b nor f", "GET", "/rooms/{plain_room}/messages?dir=x", None, 400),
    bad("limit is a word", "GET", "/rooms/{plain_room}/messages?dir=b&limit=many", None, 400),
    bad("from is no token", "GET", "/rooms/{plain_room}/messages?dir=b&from=garbage", None, 400),
    bad("since is no token", "GET", "/sync?since=garbage&timeout=0", None, 400),
    bad("since is empty base64", "GET", "/sync?since=%00%FF&timeout=0", None, 400),
    bad("timeout is a word", "GET", "/sync?timeout=soon", None, 400),
    bad("filter is cut off", "GET", "/sync?timeout=0&filter=%7B", None, 400),
    bad("filter has wrong types", "GET", "/sync?timeout=0&filter=%7B%22room%22%3A5%7D", None, 400),
    bad("no such event", "PUT", "/rooms/{plain_room}/redact/$nosuchevent/bad", b"[]", 400, "M_BAD_JSON"),
]


async def check_refused(case: Case, ground: Playground, clients: Clients) -> None:
    before = await look(ground, clients)
    api = clients.matrix.with_token(ground.matrix_token if case.with_token else None)
    since = (await clients.matrix.with_token(ground.matrix_token).sync()).next_batch

    reply = await api.call(case.method, ground.fill(case.path), raw=case.raw, headers=case.headers)

    assert reply.status in case.statuses, f"expected {case.statuses} {case.errcodes}: {reply}"
    body = assert_matrix_error(reply, reply.status, None)
    assert not case.errcodes or body["errcode"] in case.errcodes, f"expected {case.errcodes}: {reply}"
    assert await look(ground, clients) == before, f"{case.name}: something was stored"
    page = await clients.matrix.with_token(ground.matrix_token).sync(since)
    moved = [room for kind in ("join", "invite", "leave") for room in page.section(kind)]
    assert not moved, f"{case.name}: the stream moved in {moved}"


@pytest.mark.parametrize("case", NOT_JSON + BAD_JSON + TOO_LARGE + BAD_NAMES, ids=str)
async def test_refused_and_nothing_stored(case: Case, ground: Playground, clients: Clients) -> None:
    await check_refused(case, ground, clients)


@pytest.mark.parametrize(
    ("authorization", "errcode"),
    [
        (None, "M_MISSING_TOKEN"),
        ("Bearer forged", "M_UNKNOWN_TOKEN"),
        ("Bearer " + "x" * 5000, "M_UNKNOWN_TOKEN"),
        ("Bearer ", None),
        ("Basic YWxpY2U6cHc=", None),
        ("\u00e9\u00e8", None),
    ],
    ids=["none", "forged", "5000 bytes", "empty", "basic", "not ASCII"],
)
async def test_tokens_that_are_none(
    authorization: str | None, errcode: str | None, ground: Playground, clients: Clients
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    for method, path in [("GET", "/account/whoami"), ("GET", "/sync"), ("PUT", ground.fill(SEND))]:
        raw = b"{}" if method == "PUT" else None
        reply = await clients.matrix.call(method, path, raw=raw, headers=headers)
        assert_matrix_error(reply, 401, errcode)


async def test_tampered_and_revoked_tokens(ground: Playground, clients: Clients) -> None:
    account = await clients.matrix.register(fresh_name("revoked"))
    token = account.access_token
    changed = token[:-1] + ("A" if token[-1] != "A" else "B")
    for forged in (changed, token + "A", token[:-1], token.swapcase()):
        reply = await clients.matrix.with_token(forged).call("GET", "/account/whoami")
        assert_matrix_error(reply, 401, "M_UNKNOWN_TOKEN")
    await account.api.post("/logout")
    assert_matrix_error(await account.api.call("GET", "/account/whoami"), 401, "M_UNKNOWN_TOKEN")


@pytest.mark.parametrize(
    "path",
    [
        V3 + "/no/such/endpoint",
        "/_matrix/client/v1/nonesuch",
        "/_matrix/client/unstable/org.example.msc0000/x",
        "/_matrix/client/nonesuch",
        "/_matrix/federation/v1/nonesuch",
        "/_matrix/key/v2/nonesuch",
        "/_matrix/media/v3/nonesuch",
        "/_matrix/nonesuch",
        "/_matrix",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_unknown_endpoints(path: str, method: str, clients: Clients) -> None:
    raw = None if method == "GET" else b"{}"
    assert_matrix_error(await clients.matrix.wire.send(method, path, raw=raw), 404, "M_UNRECOGNIZED")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", V3 + "/login"),
        ("PATCH", V3 + "/login"),
        ("PUT", V3 + "/register"),
        ("POST", V3 + "/sync"),
        ("DELETE", V3 + "/createRoom"),
        ("GET", V3 + "/rooms/!r/send/m.room.message/t"),
        ("POST", "/_matrix/client/versions"),
    ],
)
async def test_known_endpoint_wrong_method(method: str, path: str, clients: Clients) -> None:
    assert_matrix_error(await clients.matrix.wire.send(method, path), 405, "M_UNRECOGNIZED")


async def test_content_type_is_not_required(ground: Playground, clients: Clients) -> None:
    """A body is judged by its bytes; the header may be missing or wrong (conformance notes)."""
    api = clients.matrix.with_token(ground.matrix_token)
    for kind in ("text/plain", "application/octet-stream"):
        reply = await api.call("PUT", ground.fill(STATE), raw=b"[", headers={"Content-Type": kind})
        assert_matrix_error(reply, 400, "M_NOT_JSON")
