"""The contract's account calls (design §6): register, login, refresh with rotation, logout, bots."""

from __future__ import annotations

import base64

import pytest

from harness.matching import USER_FIELDS, assert_discord_error, has_fields, is_snowflake
from harness.nexus_api import PASSWORD, Account, NexusApi, fresh_name
from harness.scene import Guild
from harness.server import NexusServer


async def refresh(nexus: NexusApi, token: str) -> dict[str, str]:
    return dict(await nexus.post("/auth/refresh", {"refresh_token": token}))


async def test_register_answers_the_account(nexus: NexusApi, server: NexusServer) -> None:
    name = fresh_name("rosa")
    body = {"username": name, "password": PASSWORD, "email": f"{name}@example.org"}
    made = await nexus.post("/auth/register", body, 201)
    has_fields("reply", made, {"user", "access_token", "refresh_token", "expires_in"})
    assert isinstance(made["expires_in"], int) and made["expires_in"] > 0
    user = made["user"]
    has_fields("user", user, USER_FIELDS)
    assert user["username"] == name and is_snowflake(user["id"]) and user["discriminator"] == "0"
    assert user["mxid"] == f"@{name}:{server.server_name}"
    assert PASSWORD not in str(made)


@pytest.mark.parametrize("prefix", ["/api", "/api/v1", "/api/v9", "/api/v10"])
async def test_all_prefixes_are_alike(prefix: str, nexus: NexusApi) -> None:
    account = await nexus.register()
    reply = await account.api.wire.send("GET", prefix + "/users/@me")
    assert reply.expect(200)["id"] == account.id
    assert reply.headers["Content-Type"] == "application/json"


async def test_me_shows_private_fields_to_oneself_only(nexus: NexusApi) -> None:
    name = fresh_name("private")
    body = {"username": name, "password": PASSWORD, "email": f"{name}@example.org"}
    made = await nexus.post("/auth/register", body, 201)
    me = await nexus.with_token(made["access_token"]).get("/users/@me")
    assert me["email"] == f"{name}@example.org"
    other = await nexus.register()
    seen = await other.api.get(f"/users/{me['id']}")
    assert "email" not in seen and seen["username"] == name


async def test_login(nexus: NexusApi) -> None:
    account = await nexus.register()
    again = await nexus.login(account.name)
    assert again.id == account.id and again.access_token != account.access_token
    assert (await again.api.get("/users/@me"))["id"] == account.id
    assert (await account.api.get("/users/@me"))["id"] == account.id, "both sessions live"


async def test_login_by_email(nexus: NexusApi) -> None:
    name = fresh_name("mail")
    await nexus.register(name, email=f"{name}@example.org")
    assert (await nexus.login(f"{name}@example.org")).name


async def test_refresh_rotates(nexus: NexusApi) -> None:
    account = await nexus.register()
    fresh = await refresh(nexus, account.refresh_token)
    assert fresh["refresh_token"] != account.refresh_token
    assert fresh["access_token"] != account.access_token
    assert (await nexus.with_token(fresh["access_token"]).get("/users/@me"))["id"] == account.id


async def test_lost_answer_can_be_asked_for_again(nexus: NexusApi) -> None:
    """Until the successor is used, the old refresh token still works."""
    account = await nexus.register()
    await refresh(nexus, account.refresh_token)
    again = await refresh(nexus, account.refresh_token)
    assert (await nexus.with_token(again["access_token"]).get("/users/@me"))["id"] == account.id


async def test_reuse_after_the_successors_first_use_ends_the_session(nexus: NexusApi) -> None:
    account = await nexus.register()
    fresh = await refresh(nexus, account.refresh_token)
    await nexus.with_token(fresh["access_token"]).get("/users/@me")
    reply = await nexus.call("POST", "/auth/refresh", body={"refresh_token": account.refresh_token})
    assert reply.status in (400, 401), f"a spent refresh token worked: {reply}"
    assert_discord_error(reply, reply.status, None)
    # Somebody holds a stolen copy: the whole session is over, for both of them.
    reply = await nexus.with_token(fresh["access_token"]).call("GET", "/users/@me")
    assert_discord_error(reply, 401, 0)
    reply = await nexus.call("POST", "/auth/refresh", body={"refresh_token": fresh["refresh_token"]})
    assert reply.status in (400, 401), f"the stolen session lives on: {reply}"


async def test_logout(nexus: NexusApi) -> None:
    account = await nexus.register()
    other = await nexus.login(account.name)
    reply = await account.api.call("POST", "/auth/logout")
    assert reply.status == 204 and reply.body == b""
    assert "Content-Type" not in reply.headers
    assert_discord_error(await account.api.call("GET", "/users/@me"), 401, 0)
    spent = await nexus.call("POST", "/auth/refresh", body={"refresh_token": account.refresh_token})
    assert spent.status in (400, 401)
    assert (await other.api.get("/users/@me"))["id"] == account.id, "other sessions stay"


async def test_application_and_bot(nexus: NexusApi, guild: Guild) -> None:
    bot = await guild.owner.api.make_bot(name="Helper of Olga")
    application = bot.application
    has_fields("application", application, {"id", "name", "flags"})
    assert is_snowflake(application["id"])
    privileged = 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15 | 1 << 18 | 1 << 19
    assert application["flags"] & privileged, "privileged intents are on"
    assert bot.user["bot"] is True and bot.user["id"] == application["id"]
    # hikari reads the bot's id from the first part of the token.
    first = bot.token.split(".")[0]
    assert base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)).decode() == bot.id


async def test_what_libraries_ask_at_the_start(guild: Guild) -> None:
    bot = await guild.new_bot()
    gateway = await bot.api.get("/gateway/bot")
    has_fields("gateway", gateway, {"url", "shards", "session_start_limit"})
    has_fields(
        "limit", gateway["session_start_limit"], {"total", "remaining", "reset_after", "max_concurrency"}
    )
    assert gateway["url"].startswith("ws") and "?" not in gateway["url"]
    assert not gateway["url"].endswith("/")
    needed = "id name icon description bot_public bot_require_code_grant verify_key owner".split()
    for path in ("/oauth2/applications/@me", "/applications/@me"):
        has_fields(path, await bot.api.get(path), needed)


async def test_bot_is_put_into_a_guild_by_its_owner_only(nexus: NexusApi, guild: Guild, member: Account) -> None:
    bot = await member.api.make_bot()
    body = {"guild_id": guild.id, "permissions": "0", "authorize": True}
    path = f"/oauth2/authorize?client_id={bot.application['id']}&scope=bot"
    assert_discord_error(await member.api.call("POST", path, body=body), 403, 50013)
    assert await bot.api.get("/users/@me/guilds") == []
    await guild.owner.api.authorize_bot(bot, guild.id)
    assert [g["id"] for g in await bot.api.get("/users/@me/guilds")] == [guild.id]


async def test_bot_token_is_not_a_bearer_of_users(guild: Guild, nexus: NexusApi) -> None:
    bot = await guild.new_bot()
    assert_discord_error(await bot.api.call("POST", "/guilds", body={"name": "no bots"}), 403, 20001)
    code = await guild.invite_code()
    assert_discord_error(await bot.api.call("POST", f"/invites/{code}", body={}), 403, 20001)
