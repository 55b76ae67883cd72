"""POST /register: user-interactive authentication with the dummy stage, names, device choice.

Complement: TestRegistration; conformance notes "Registration, login, sessions" and "UIA".
"""

from __future__ import annotations

from harness.matching import assert_matrix_error
from harness.matrix_api import MatrixAccount, MatrixApi
from harness.nexus_api import PASSWORD, NexusApi, fresh_name
from harness.server import NexusServer

DUMMY = {"type": "m.login.dummy"}


async def test_first_call_asks_for_a_stage(matrix: MatrixApi) -> None:
    body = (await matrix.call("POST", "/register", body={})).expect(401)
    assert isinstance(body["session"], str) and body["session"]
    assert {"stages": ["m.login.dummy"]} in body["flows"], body
    assert "errcode" not in body or isinstance(body["errcode"], str)


async def test_two_steps_make_an_account(matrix: MatrixApi, server: NexusServer) -> None:
    name = fresh_name("two-steps")
    account = await matrix.register(name)
    assert account.user_id == f"@{name}:{server.server_name}"
    assert (await account.api.get("/account/whoami"))["user_id"] == account.user_id


async def test_dummy_without_session_is_enough(matrix: MatrixApi) -> None:
    """matrix-nio and many scripts send the stage in the first call."""
    body = {"username": fresh_name("one-step"), "password": PASSWORD, "auth": DUMMY}
    assert (await matrix.post("/register", body))["access_token"]


async def test_username_is_downcased(matrix: MatrixApi, server: NexusServer) -> None:
    name = fresh_name("Upper").replace("upper", "Upper")
    body = {"username": name, "password": PASSWORD, "auth": DUMMY}
    made = await matrix.post("/register", body)
    assert made["user_id"] == f"@{name.lower()}:{server.server_name}"


async def test_taken_name(alice: MatrixAccount, matrix: MatrixApi) -> None:
    for name in (alice.name, alice.name.upper()):
        body = {"username": name, "password": PASSWORD, "auth": DUMMY}
        assert_matrix_error(await matrix.call("POST", "/register", body=body), 400, "M_USER_IN_USE")


async def test_name_taken_through_the_other_api(nexus: NexusApi, matrix: MatrixApi) -> None:
    account = await nexus.register()
    body = {"username": account.name, "password": PASSWORD, "auth": DUMMY}
    assert_matrix_error(await matrix.call("POST", "/register", body=body), 400, "M_USER_IN_USE")


async def test_invalid_names(matrix: MatrixApi) -> None:
    for name in ("spa ce", "ümlaut", "a:b", "@at", "new\nline", "slash!"):
        body = {"username": name, "password": PASSWORD, "auth": DUMMY}
        reply = await matrix.call("POST", "/register", body=body)
        assert_matrix_error(reply, 400, "M_INVALID_USERNAME")


async def test_reserved_name(matrix: MatrixApi) -> None:
    """`nexus` is the home steward's localpart on every server."""
    body = {"username": "nexus", "password": PASSWORD, "auth": DUMMY}
    reply = await matrix.call("POST", "/register", body=body)
    error = assert_matrix_error(reply, 400, None)
    assert error["errcode"] in ("M_INVALID_USERNAME", "M_USER_IN_USE", "M_EXCLUSIVE"), str(reply)


async def test_unknown_stage_is_refused(matrix: MatrixApi) -> None:
    first = (await matrix.call("POST", "/register", body={})).expect(401)
    auth = {"type": "m.login.recaptcha", "session": first["session"], "response": "x"}
    body = {"username": fresh_name("captcha"), "password": PASSWORD, "auth": auth}
    reply = await matrix.call("POST", "/register", body=body)
    assert reply.status in (400, 401), str(reply)
    assert "access_token" not in reply.json()


async def test_requested_device_id_is_kept(matrix: MatrixApi) -> None:
    account = await matrix.register(device_id="MYPHONE", initial_device_display_name="my phone")
    assert account.device_id == "MYPHONE"
    devices = (await account.api.get("/devices"))["devices"]
    assert [(d["device_id"], d["display_name"]) for d in devices] == [("MYPHONE", "my phone")]


async def test_inhibit_login(matrix: MatrixApi) -> None:
    body = {"username": fresh_name("quiet"), "password": PASSWORD, "auth": DUMMY, "inhibit_login": True}
    made = await matrix.post("/register", body)
    assert "access_token" not in made and "device_id" not in made


async def test_availability(alice: MatrixAccount, matrix: MatrixApi) -> None:
    free = await matrix.call("GET", "/register/available", params={"username": fresh_name("free")})
    assert free.expect(200) == {"available": True}
    taken = await matrix.call("GET", "/register/available", params={"username": alice.name})
    assert_matrix_error(taken, 400, "M_USER_IN_USE")
    odd = await matrix.call("GET", "/register/available", params={"username": "no space"})
    assert_matrix_error(odd, 400, "M_INVALID_USERNAME")
