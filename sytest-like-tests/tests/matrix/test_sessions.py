"""Login, logout, refresh, whoami and devices.

Complement: TestLogin, TestLogout, TestDeviceManagement, TestRefreshToken; design §6 on tokens.
"""

from __future__ import annotations

import pytest

from harness.matching import assert_matrix_error
from harness.matrix_api import MatrixAccount, MatrixApi, segment
from harness.nexus_api import PASSWORD, NexusApi, fresh_name


async def test_login_flows(matrix: MatrixApi) -> None:
    flows = (await matrix.get("/login"))["flows"]
    assert {"type": "m.login.password"} in [{"type": f["type"]} for f in flows]


@pytest.mark.parametrize("form", ["localpart", "full id", "upper case"])
async def test_login_forms(form: str, alice: MatrixAccount, matrix: MatrixApi) -> None:
    user = {"localpart": alice.name, "full id": alice.user_id, "upper case": alice.name.upper()}[form]
    again = await matrix.login(user)
    assert again.user_id == alice.user_id and again.device_id != alice.device_id
    assert (await again.api.get("/account/whoami"))["device_id"] == again.device_id


async def test_login_with_deprecated_user_field(alice: MatrixAccount, matrix: MatrixApi) -> None:
    body = {"type": "m.login.password", "user": alice.name, "password": PASSWORD}
    assert (await matrix.post("/login", body))["user_id"] == alice.user_id


async def test_wrong_password_and_unknown_user_look_alike(alice: MatrixAccount, matrix: MatrixApi) -> None:
    bodies = [
        {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": user}, "password": "wrong"}
        for user in (alice.name, fresh_name("nobody"))
    ]
    replies = [await matrix.call("POST", "/login", body=body) for body in bodies]
    for reply in replies:
        assert_matrix_error(reply, 403, "M_FORBIDDEN")
    assert replies[0].body == replies[1].body


async def test_login_of_another_server(alice: MatrixAccount, matrix: MatrixApi) -> None:
    user = f"@{alice.name}:elsewhere.example"
    body = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": user}, "password": PASSWORD}
    assert_matrix_error(await matrix.call("POST", "/login", body=body), 403, "M_FORBIDDEN")


async def test_reused_device_id_revokes_its_older_token(alice: MatrixAccount, matrix: MatrixApi) -> None:
    again = await matrix.login(alice.name, device_id=alice.device_id)
    assert again.device_id == alice.device_id
    assert_matrix_error(await alice.api.call("GET", "/account/whoami"), 401, "M_UNKNOWN_TOKEN")
    assert len((await again.api.get("/devices"))["devices"]) == 1


async def test_logout_ends_only_this_device(alice: MatrixAccount, matrix: MatrixApi) -> None:
    other = await matrix.login(alice.name)
    assert (await alice.api.call("POST", "/logout")).expect(200) == {}
    assert_matrix_error(await alice.api.call("GET", "/sync"), 401, "M_UNKNOWN_TOKEN")
    devices = (await other.api.get("/devices"))["devices"]
    assert [d["device_id"] for d in devices] == [other.device_id]


async def test_logout_all_includes_the_caller(alice: MatrixAccount, matrix: MatrixApi) -> None:
    other = await matrix.login(alice.name)
    assert (await other.api.call("POST", "/logout/all", raw=b"")).expect(200) == {}
    for session in (alice, other):
        assert_matrix_error(await session.api.call("GET", "/account/whoami"), 401, "M_UNKNOWN_TOKEN")


async def test_long_lived_token_unless_asked(alice: MatrixAccount, matrix: MatrixApi) -> None:
    body = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": alice.name}, "password": PASSWORD}
    plain = await matrix.post("/login", body)
    assert "refresh_token" not in plain and "expires_in_ms" not in plain
    refreshing = await matrix.post("/login", {**body, "refresh_token": True})
    assert refreshing["refresh_token"] and refreshing["expires_in_ms"] > 0


async def test_refresh(alice: MatrixAccount, matrix: MatrixApi) -> None:
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": alice.name},
        "password": PASSWORD,
        "refresh_token": True,
    }
    first = await matrix.post("/login", body)
    second = await matrix.post("/refresh", {"refresh_token": first["refresh_token"]})
    assert second["access_token"] != first["access_token"]
    whoami = await matrix.with_token(second["access_token"]).get("/account/whoami")
    assert whoami["device_id"] == first["device_id"]
    # The successor was used: the old refresh token is spent.
    spent = await matrix.call("POST", "/refresh", body={"refresh_token": first["refresh_token"]})
    assert_matrix_error(spent, 401, "M_UNKNOWN_TOKEN")


async def test_old_refresh_token_works_until_the_successor_is_used(
    alice: MatrixAccount, matrix: MatrixApi
) -> None:
    """A client that lost the answer must be able to ask again."""
    first = await matrix.post(
        "/login",
        {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": alice.name},
            "password": PASSWORD,
            "refresh_token": True,
        },
    )
    await matrix.post("/refresh", {"refresh_token": first["refresh_token"]})
    again = await matrix.post("/refresh", {"refresh_token": first["refresh_token"]})
    assert (await matrix.with_token(again["access_token"]).get("/account/whoami"))["user_id"] == alice.user_id


async def test_unknown_refresh_token(matrix: MatrixApi) -> None:
    reply = await matrix.call("POST", "/refresh", body={"refresh_token": "forged"})
    assert_matrix_error(reply, 401, "M_UNKNOWN_TOKEN")


async def test_whoami(alice: MatrixAccount) -> None:
    whoami = await alice.api.get("/account/whoami")
    assert whoami["user_id"] == alice.user_id and whoami["device_id"] == alice.device_id
    assert whoami.get("is_guest", False) is False


async def test_devices_can_be_read_and_renamed(alice: MatrixAccount, bob: MatrixAccount) -> None:
    path = f"/devices/{segment(alice.device_id)}"
    await alice.api.put(path, {"display_name": "laptop"})
    assert (await alice.api.get(path))["display_name"] == "laptop"
    assert_matrix_error(await bob.api.call("GET", path), 404, "M_NOT_FOUND")
    assert_matrix_error(await alice.api.call("GET", "/devices/NOSUCH"), 404, "M_NOT_FOUND")


async def test_a_token_works_in_both_apis(alice: MatrixAccount, nexus: NexusApi) -> None:
    me = await nexus.with_token(alice.access_token).get("/users/@me")
    assert me["mxid"] == alice.user_id and me["username"] == alice.name


async def test_a_contract_token_works_in_matrix(nexus: NexusApi, matrix: MatrixApi) -> None:
    account = await nexus.register()
    whoami = await matrix.with_token(account.access_token).get("/account/whoami")
    assert whoami["user_id"] == account.mxid


async def test_token_in_the_query_or_header(alice: MatrixAccount, matrix: MatrixApi) -> None:
    """v1.19 still has ?access_token=; it may be refused, but only as a missing token."""
    reply = await matrix.call("GET", "/account/whoami", params={"access_token": alice.access_token})
    if reply.status != 200:
        assert_matrix_error(reply, 401, "M_MISSING_TOKEN")
