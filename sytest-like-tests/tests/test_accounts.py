"""Accounts as people live with them: mails, lost passwords, second factors, limits, `nexus admin`."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from harness.gateway import GatewayClient
from harness.mailbox import Mailbox, token_of
from harness.nexus_api import PASSWORD, NexusApi, fresh_name
from harness.scene import Clients
from harness.server import NexusServer, binary_path, clean_environment

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def totp(at_s: float) -> str:
    """RFC 6238, by hand: the suite shares no code with the server."""
    digest = hmac.new(base64.b32decode(SECRET), struct.pack(">Q", int(at_s) // 30), hashlib.sha1).digest()
    start = digest[-1] & 15
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def admin(server: NexusServer, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(binary_path()), "admin", "--config", str(server.folder / "nexus.toml"), *arguments],
        input=stdin,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def admin_json(server: NexusServer, *arguments: str, stdin: str = "") -> Any:
    done = admin(server, *arguments, "--json", stdin=stdin)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_a_lost_password_comes_back_by_mail(make_server: Any, session: aiohttp.ClientSession) -> None:
    async with Mailbox() as mailbox:
        server = make_server(config={"email": {"smtp_url": mailbox.url, "from": "Nexus <nexus@chat.example>"}})
        await asyncio.to_thread(server.start)
        nexus = NexusApi.anonymous(session, server.url)
        account = await nexus.register("ada", email="ada@example.org")
        assert account.user["verified"] is False
        asked = await mailbox.next()
        assert asked["To"] == "ada@example.org" and "nexus@chat.example" in asked["From"]
        await nexus.post("/auth/verify", {"token": token_of(asked)}, 204)
        assert (await account.api.get("/users/@me"))["verified"] is True

        # The answer is the same for those who are not there, and they get no mail.
        for login in ("nobody", "nobody@example.org", "ada"):
            await nexus.post("/auth/forgot", {"login": login}, 204)
        link = f"{server.url}/account/mail?token={token_of(await mailbox.next())}"
        async with session.get(link) as page:
            text = await page.text()
            assert page.status == 200 and 'name="password"' in text and "ada@example.org" in text
            policy = page.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "form-action 'self'" in policy
            assert page.headers["Referrer-Policy"] == "no-referrer"
        token = link.partition("=")[2]
        form = {"token": token, "password": "quite another secret", "again": "a new passwort"}
        async with session.post(f"{server.url}/account/mail", data=form) as page:
            assert page.status == 400
        form["again"] = form["password"]
        async with session.post(f"{server.url}/account/mail", data=form) as page:
            assert page.status == 200, await page.text()
        assert (await account.api.call("GET", "/users/@me")).status == 401
        assert (await mailbox.next())["Subject"] == "Your password was changed"
        async with session.post(f"{server.url}/account/mail", data=form) as page:
            assert page.status == 400, "a link is good once"
        await nexus.login("ada", "quite another secret")
        assert mailbox.is_empty()


async def test_a_mail_outlives_a_kill_and_a_refusal(make_server: Any, session: aiohttp.ClientSession) -> None:
    """Queued while the SMTP server is down; sent by the next run of the server."""
    lease_holder = Mailbox()
    server = make_server(config={"email": {"smtp_url": lease_holder.url}})
    await asyncio.to_thread(server.start)
    nexus = NexusApi.anonymous(session, server.url)
    await nexus.register("ada", email="ada@example.org")
    await asyncio.to_thread(server.kill9)
    async with lease_holder as mailbox:
        await asyncio.to_thread(server.start)
        assert (await mailbox.next())["To"] == "ada@example.org"


async def test_matrix_proves_an_address(make_server: Any, session: aiohttp.ClientSession) -> None:
    async with Mailbox() as mailbox:
        server = make_server(config={"email": {"smtp_url": mailbox.url}})
        await asyncio.to_thread(server.start)
        clients = Clients.of(session, server.url)
        ask = {"client_secret": "abc", "email": "ada@example.org", "send_attempt": 1}
        sid = (await clients.matrix.post("/register/email/requestToken", ask))["sid"]
        token = token_of(await mailbox.next())
        auth = {
            "type": "m.login.email.identity",
            "threepid_creds": {"sid": sid, "client_secret": "abc"},
        }
        body = {"username": "ada", "password": PASSWORD, "auth": auth}
        assert (await clients.matrix.call("POST", "/register", body=body)).status == 401
        # Looking at the page, as programs do that check links in mails, confirms nothing.
        async with session.get(f"{server.url}/account/mail?token={token}") as page:
            assert page.status == 200
        assert (await clients.matrix.call("POST", "/register", body=body)).status == 401
        async with session.post(f"{server.url}/account/mail", data={"token": token}) as page:
            assert page.status == 200
        assert (await clients.matrix.post("/register", body))["user_id"].startswith("@ada:")
        body["username"] = "eve"
        assert (await clients.matrix.call("POST", "/register", body=body)).status == 401


async def test_a_second_factor_guards_both_apis(clients: Clients) -> None:
    account = await clients.nexus.register()
    enable = {"password": PASSWORD, "secret": SECRET, "code": totp(time.time() - 30)}
    codes = (await account.api.post("/users/@me/mfa/totp/enable", enable))["backup_codes"]
    assert len(codes) == 10
    login = {"login": account.name, "password": PASSWORD}
    asked = await clients.nexus.post("/auth/login", login)
    assert asked["mfa"] is True and asked["access_token"] is None
    identifier = {"type": "m.id.user", "user": account.name}
    matrix = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
    assert (await clients.matrix.call("POST", "/login", body=matrix)).status == 403
    code = totp(time.time())
    done = await clients.nexus.post("/auth/mfa/totp", {"ticket": asked["ticket"], "code": code})
    assert done["user"]["mfa_enabled"] is True
    matrix["password"] = PASSWORD + code
    assert (await clients.matrix.call("POST", "/login", body=matrix)).status == 403, "a code is good once"
    matrix["password"] = PASSWORD + codes[0]["code"]
    await clients.matrix.post("/login", matrix)


async def test_a_revoked_session_loses_its_gateway_connection(server: NexusServer, clients: Clients) -> None:
    account = await clients.nexus.register()
    other = await clients.nexus.login(account.name)
    url = (await clients.nexus.get("/gateway"))["url"]
    async with await GatewayClient.connect(clients.nexus.wire.session, url) as gateway:
        await gateway.identify(other.access_token)
        await account.api.patch("/users/@me", {"password": PASSWORD, "new_password": "another password"})
        assert await gateway.close_code() == 4004


async def test_limits_are_told_in_both_apis(make_server: Any, session: aiohttp.ClientSession) -> None:
    server = make_server(config={"rate_limits": {"enabled": True}})
    await asyncio.to_thread(server.start)
    clients = Clients.of(session, server.url)
    account = await clients.nexus.register(fresh_name("quick"))
    wrong = {"login": account.name, "password": "wrong"}
    replies = [await clients.nexus.call("POST", "/auth/login", body=wrong) for _ in range(12)]
    assert [reply.status for reply in replies] == [400] * 10 + [429] * 2
    assert replies[-1].headers["Via"] and replies[-1].json()["retry_after"] > 0
    # The other API counts the same attempts; another address in a header changes nothing.
    identifier = {"type": "m.id.user", "user": account.name}
    login = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
    headers = {"X-Forwarded-For": "192.0.2.7"}
    refused = await clients.matrix.call("POST", "/login", body=login, headers=headers)
    assert refused.status == 429 and refused.json()["errcode"] == "M_LIMIT_EXCEEDED"
    assert int(refused.headers["Retry-After"]) >= 1 and refused.json()["retry_after_ms"] > 0


async def test_attack_48_no_header_changes_whose_bucket_it_is(
    make_server: Any, session: aiohttp.ClientSession
) -> None:
    server = make_server(config={"rate_limits": {"enabled": True}})
    await asyncio.to_thread(server.start)
    nexus = NexusApi.anonymous(session, server.url)
    statuses = []
    for number in range(12):
        body = {"username": f"user{number}", "password": PASSWORD}
        headers = {"X-Forwarded-For": f"198.51.100.{number}"}
        statuses.append((await nexus.call("POST", "/auth/register", body=body, headers=headers)).status)
    assert statuses.count(201) == 10 and statuses[-1] == 429, statuses


async def test_an_operator_hands_out_tokens_and_looks_after_users(
    make_server: Any, session: aiohttp.ClientSession
) -> None:
    server = make_server(config={"registration": {"mode": "invite"}})
    await asyncio.to_thread(server.start)
    nexus = NexusApi.anonymous(session, server.url)
    made = await asyncio.to_thread(admin_json, server, "users", "create", "ada", "--admin", stdin=f"{PASSWORD}\n")
    assert made["admin"] is True
    token = (await asyncio.to_thread(admin_json, server, "tokens", "create", "--uses", "1"))["token"]
    account = await nexus.register("bob", invite=token)
    spent = {"username": "eve", "password": PASSWORD, "invite": token}
    assert (await nexus.call("POST", "/auth/register", body=spent)).status == 400
    shown = await asyncio.to_thread(admin_json, server, "users", "show", "bob")
    assert len(shown["devices"]) == 1
    await asyncio.to_thread(admin_json, server, "users", "revoke-sessions", "bob")
    assert (await account.api.call("GET", "/users/@me")).status == 401
    reset = await asyncio.to_thread(admin, server, "users", "reset-password", "bob", stdin="quite another secret\n")
    assert reset.returncode == 0 and "quite another secret" not in reset.stdout
    account = await nexus.login("bob", "quite another secret")
    guild = await account.api.post("/guilds", {"name": "Bob's"}, 201)
    refused = await asyncio.to_thread(admin, server, "users", "deactivate", "bob")
    assert refused.returncode == 1 and "handed over" in refused.stderr
    await account.api.delete(f"/guilds/{guild['id']}")
    assert (await asyncio.to_thread(admin, server, "users", "deactivate", "bob", "--erase")).returncode == 0
    unknown = await asyncio.to_thread(admin, server, "users", "show", "nobody")
    assert unknown.returncode == 1 and "no such user" in unknown.stderr
    await asyncio.to_thread(server.stop)
    assert (await asyncio.to_thread(admin, server, "users", "list")).returncode == 2


def test_attack_47_no_password_and_no_token_lies_in_the_data_folder(make_server: Any) -> None:
    async def live(server: NexusServer) -> list[bytes]:
        async with aiohttp.ClientSession() as session:
            nexus = NexusApi.anonymous(session, server.url)
            account = await nexus.register("ada")
            again = await nexus.login("ada")
            bodies = [PASSWORD, account.access_token, account.refresh_token, again.access_token]
            return [body.encode() for body in bodies]

    server = make_server()
    server.start()
    secrets = asyncio.run(live(server))
    server.stop()
    files = [path for path in (server.folder / "data").rglob("*") if path.is_file()]
    assert files
    for path in [*files, server.folder / "server.log"]:
        content = Path(path).read_bytes()
        for secret in secrets:
            assert secret not in content, path


@pytest.mark.parametrize("secret", ["changeme", "YOUR_REGISTRATION_SHARED_SECRET"])
def test_attack_49_a_secret_that_everybody_knows_is_refused(tmp_path: Path, secret: str) -> None:
    done = subprocess.run(
        [str(binary_path()), "serve"],
        cwd=tmp_path,
        env=clean_environment({"NEXUS_REGISTRATION__SHARED_SECRET": secret}),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2 and "registration.shared_secret" in done.stderr
    assert not list(tmp_path.iterdir()), "nothing is left behind"
