"""A guild as Matrix clients find it: listed if it is open, a space whose channels are shown by role."""

from __future__ import annotations

from typing import Any

import aiohttp

from harness.matching import assert_matrix_error
from harness.matrix_api import MatrixAccount, MatrixApi, room_path, segment
from harness.scene import Guild

VIEW_CHANNEL = 1 << 10


async def hierarchy(account: MatrixAccount, room_id: str) -> list[dict[str, Any]]:
    path = f"/_matrix/client/v1/rooms/{segment(room_id)}/hierarchy"
    return list((await account.api.wire.send("GET", path)).expect(200)["rooms"])


async def test_channels_are_shown_to_who_may_view_them(guild: Guild) -> None:
    member = await guild.new_matrix_member(join_general=False)
    space = str(guild.object["room_id"])
    new = {"name": "hidden", "type": 0}
    hidden = await guild.owner.api.post(f"/guilds/{guild.id}/channels", new, status=201)
    denied = {"type": 0, "allow": "0", "deny": str(VIEW_CHANNEL)}
    path = f"/channels/{hidden['id']}/permissions/{guild.id}"
    assert (await guild.owner.api.call("PUT", path, body=denied)).status == 204
    rooms = await hierarchy(member, space)
    shown = [r["room_id"] for r in rooms]
    assert shown[0] == space and rooms[0]["room_type"] == "m.space"
    assert guild.room in shown, "listed before it is joined"
    assert hidden["room_id"] not in shown
    assert hidden["room_id"] not in {c["state_key"] for c in rooms[0]["children_state"]}
    summary = f"/_matrix/client/v1/room_summary/{segment(str(hidden['room_id']))}"
    assert_matrix_error(await member.api.wire.send("GET", summary), 404, "M_NOT_FOUND")


async def test_only_members_see_into_a_closed_guild(guild: Guild, alice: MatrixAccount) -> None:
    space = str(guild.object["room_id"])
    path = f"/_matrix/client/v1/rooms/{segment(space)}/hierarchy"
    assert_matrix_error(await alice.api.wire.send("GET", path), 403, "M_FORBIDDEN")
    listed = await alice.api.get("/publicRooms", limit=500)
    assert space not in [r["room_id"] for r in listed["chunk"]]


async def test_an_open_guild_is_listed_as_a_space(guild: Guild, alice: MatrixAccount) -> None:
    space = str(guild.object["room_id"])
    await guild.owner.api.patch(f"/guilds/{guild.id}", {"features": ["DISCOVERABLE"]})
    filters = {"room_types": ["m.space"], "generic_search_term": str(guild.object["name"])}
    listed = await alice.api.post("/publicRooms", {"filter": filters, "limit": 500})
    assert space in [r["room_id"] for r in listed["chunk"]]
    await alice.api.join(space)
    assert guild.room in [r["room_id"] for r in await hierarchy(alice, space)]


async def test_power_levels_and_upgrades_are_not_for_guilds(guild: Guild) -> None:
    member = await guild.new_matrix_member()
    for room_id in (str(guild.object["room_id"]), guild.room):
        upgraded = await member.api.call(
            "POST", room_path(room_id, "upgrade"), body={"new_version": "12"}
        )
        assert_matrix_error(upgraded, 403, "M_FORBIDDEN")
        kicked = await member.api.call(
            "POST", room_path(room_id, "kick"), body={"user_id": guild.owner.mxid}
        )
        assert_matrix_error(kicked, 403, "M_FORBIDDEN")


async def test_the_directory_without_a_token(make_server: Any, session: aiohttp.ClientSession) -> None:
    for allowed, status in ((False, 401), (True, 200)):
        server = make_server(config={"directory": {"public_without_login": allowed}})
        server.start()
        api = MatrixApi.anonymous(session, server.url)
        reply = await api.call("GET", "/publicRooms")
        assert reply.status == status, str(reply)
        assert (await api.call("POST", "/publicRooms", body={})).status == 401, "searching needs one"
