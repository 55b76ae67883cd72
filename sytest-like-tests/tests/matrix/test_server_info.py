"""What the server says about itself without a login: versions, well-known, CORS, content type."""

from __future__ import annotations

import re

import pytest

from harness.matrix_api import MatrixApi
from harness.server import NexusServer


async def test_versions(matrix: MatrixApi) -> None:
    body = (await matrix.wire.send("GET", "/_matrix/client/versions")).expect(200)
    assert body["versions"], "no version is claimed"
    for version in body["versions"]:
        assert re.match(r"^(v\d+\.\d+|r\d+\.\d+\.\d+)$", version), version
    assert all(isinstance(v, bool) for v in body.get("unstable_features", {}).values())


async def test_versions_ignores_a_bad_token(matrix: MatrixApi) -> None:
    reply = await matrix.with_token("forged").wire.send("GET", "/_matrix/client/versions")
    assert reply.status in (200, 401)


async def test_well_known_client(matrix: MatrixApi, server: NexusServer) -> None:
    reply = await matrix.wire.send("GET", "/.well-known/matrix/client")
    body = reply.expect(200)
    assert body["m.homeserver"]["base_url"].rstrip("/") == server.url
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert reply.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", ["/login", "/sync", "/no/such/endpoint"])
async def test_cors_on_every_response(path: str, matrix: MatrixApi) -> None:
    reply = await matrix.call("GET", path, headers={"Origin": "https://app.example"})
    assert reply.headers["Access-Control-Allow-Origin"] == "*", f"{reply} without CORS"


@pytest.mark.parametrize("path", ["/login", "/sync", "/createRoom", "/rooms/!x/send/m.room.message/1"])
async def test_preflight_needs_no_token(path: str, matrix: MatrixApi) -> None:
    headers = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    reply = await matrix.call("OPTIONS", path, headers=headers)
    assert reply.status in (200, 204), str(reply)
    allowed = reply.headers["Access-Control-Allow-Methods"]
    assert allowed == "*" or {"GET", "POST", "PUT", "DELETE", "OPTIONS"} <= {
        m.strip() for m in allowed.split(",")
    }
    names = reply.headers["Access-Control-Allow-Headers"].lower()
    assert names == "*" or {"authorization", "content-type"} <= {n.strip() for n in names.split(",")}
