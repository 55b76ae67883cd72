"""Files through both facades: what one client attaches, the other one reads.

Design §4 (media), reference/attacks.md 39 and 44.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request

import aiohttp

from harness.scene import Clients, Guild, make_guild
from harness.server import NexusServer

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


def http(method: str, url: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, data=body or None, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, {k.lower(): v for k, v in reply.headers.items()}, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def form(*parts: tuple[str, bytes]) -> tuple[bytes, str]:
    lines = [b"--frontier\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + body + b"\r\n"
             for head, body in parts]
    return b"".join(lines) + b"--frontier--\r\n", "multipart/form-data; boundary=frontier"


async def test_a_discord_file_is_a_matrix_file(guild: Guild, server: NexusServer) -> None:
    mia = await guild.new_matrix_member()
    payload = json.dumps({"content": "look"}).encode()
    body, kind = form(('name="payload_json"', payload), ('name="files[0]"; filename="dot.png"', PNG))
    status, _, reply = http("POST", f"{server.url}/api/v10/channels/{guild.channel}/messages", body,
                            **{"Content-Type": kind, "Authorization": f"Bearer {guild.owner.access_token}"})
    sent = json.loads(reply)
    assert status == 200, sent
    [attachment] = sent["attachments"]
    assert (attachment["filename"], attachment["width"], attachment["size"]) == ("dot.png", 1, len(PNG))
    assert http("GET", attachment["url"])[2] == PNG

    [event] = [e for e in await mia.api.whole_timeline(guild.room) if e.get("event_id") == sent["event_id"]]
    content = event["content"]
    assert (content["msgtype"], content["body"], content["filename"]) == ("m.image", "look", "dot.png")
    media = content["url"].removeprefix("mxc://")
    down = f"{server.url}/_matrix/client/v1/media/download/{media}"
    status, headers, body = http("GET", down, Authorization=f"Bearer {mia.access_token}", Range="bytes=1-3")
    assert (status, body, headers["content-range"]) == (206, b"PNG", f"bytes 1-3/{len(PNG)}")
    assert http("GET", down)[0] == 401


async def test_a_matrix_file_is_a_discord_attachment(guild: Guild, server: NexusServer) -> None:
    mia = await guild.new_matrix_member()
    token = {"Authorization": f"Bearer {mia.access_token}"}
    status, _, reply = http("POST", f"{server.url}/_matrix/media/v3/upload?filename=a.txt", b"some text",
                            **{"Content-Type": "text/plain", **token})
    assert status == 200, reply
    uri = json.loads(reply)["content_uri"]
    info = {"mimetype": "text/plain", "size": 9}
    event_id = await mia.api.send(guild.room, {"msgtype": "m.file", "body": "a.txt", "url": uri, "info": info})
    [message] = [m for m in await guild.owner.api.history(guild.channel) if m["event_id"] == event_id]
    [attachment] = message["attachments"]
    assert (message["content"], attachment["filename"], attachment["size"]) == ("", "a.txt", 9)
    assert http("GET", attachment["url"])[2] == b"some text"


async def test_files_survive_a_kill(own_server: NexusServer, session: aiohttp.ClientSession) -> None:
    clients = Clients.of(session, own_server.url)
    guild = await make_guild(clients)
    token = {"Authorization": f"Bearer {guild.owner.access_token}"}
    large = bytes(range(256)) * 40_000
    status, _, reply = http("POST", f"{own_server.url}/_matrix/media/v3/upload", large, **token)
    assert status == 200, reply
    await asyncio.to_thread(own_server.restart_killed)
    media = json.loads(reply)["content_uri"].removeprefix("mxc://")
    assert http("GET", f"{own_server.url}/_matrix/client/v1/media/download/{media}", **token)[2] == large
