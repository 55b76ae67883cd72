"""Profiles, and the bundling of edits under their originals.

Complement: TestDisplayNameUpdate, TestProfileDisplayName; conformance notes "Relations".
"""

from __future__ import annotations

from harness.matching import assert_matrix_error
from harness.matrix_api import MatrixAccount, MatrixApi, reaction_content, room_path, segment
from harness.server import NexusServer
from harness.waiting import eventually


def profile(account: MatrixAccount, key: str = "") -> str:
    return f"/profile/{segment(account.user_id)}" + (f"/{key}" if key else "")


async def test_display_name(alice: MatrixAccount, matrix: MatrixApi) -> None:
    await alice.api.put(profile(alice, "displayname"), {"displayname": "Alice 🐇"})
    assert (await matrix.get(profile(alice, "displayname"))) == {"displayname": "Alice 🐇"}
    assert (await matrix.get(profile(alice)))["displayname"] == "Alice 🐇"


async def test_avatar(alice: MatrixAccount, matrix: MatrixApi) -> None:
    await alice.api.put(profile(alice, "avatar_url"), {"avatar_url": "mxc://localhost/abc"})
    assert (await matrix.get(profile(alice, "avatar_url")))["avatar_url"] == "mxc://localhost/abc"


async def test_name_change_reaches_the_rooms(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    await alice.api.put(profile(alice, "displayname"), {"displayname": "Renamed"})

    async def renamed() -> bool:
        member = await bob.api.state(room, "m.room.member", alice.user_id)
        assert member["membership"] == "join"
        return bool(member.get("displayname") == "Renamed")

    await eventually("the join event carries the new name", renamed)
    joined = (await bob.api.get(room_path(room, "joined_members")))["joined"]
    assert joined[alice.user_id]["display_name"] == "Renamed"


async def test_not_anothers_profile(alice: MatrixAccount, bob: MatrixAccount) -> None:
    reply = await bob.api.call("PUT", profile(alice, "displayname"), body={"displayname": "x"})
    assert_matrix_error(reply, 403, "M_FORBIDDEN")


async def test_unknown_profile(matrix: MatrixApi, server: NexusServer) -> None:
    reply = await matrix.call("GET", "/profile/" + segment(f"@nosuchuser:{server.server_name}"))
    assert_matrix_error(reply, 404, "M_NOT_FOUND")


async def test_edit_is_bundled_and_the_original_kept(
    alice: MatrixAccount, bob: MatrixAccount, room: str
) -> None:
    original = await alice.api.say(room, "first words")
    await alice.api.edit(room, original, "second words")
    newest = await alice.api.edit(room, original, "third words")
    event = await bob.api.get(room_path(room, "event", original))
    assert event["content"]["body"] == "first words", "an edited event's content is not replaced"
    bundled = event["unsigned"]["m.relations"]["m.replace"]
    assert bundled["event_id"] == newest
    assert bundled["content"]["m.new_content"]["body"] == "third words"


async def test_edit_by_another_is_not_bundled(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    original = await alice.api.say(room, "mine")
    await bob.api.edit(room, original, "not yours")
    event = await alice.api.get(room_path(room, "event", original))
    assert "m.replace" not in event.get("unsigned", {}).get("m.relations", {})


async def test_redacted_edit_is_not_bundled(alice: MatrixAccount, room: str) -> None:
    original = await alice.api.say(room, "first")
    edit = await alice.api.edit(room, original, "second")
    await alice.api.redact(room, edit)
    event = await alice.api.get(room_path(room, "event", original))
    assert "m.replace" not in event.get("unsigned", {}).get("m.relations", {})


async def test_reaction_is_an_event_and_a_second_one_is_refused(
    alice: MatrixAccount, bob: MatrixAccount, room: str
) -> None:
    target = await alice.api.say(room, "like this")
    reaction = await bob.api.react(room, target, "👍")
    event = await alice.api.get(room_path(room, "event", reaction))
    assert event["content"] == reaction_content(target, "👍")
    path = room_path(room, "send", "m.reaction", "again")
    reply = await bob.api.call("PUT", path, body=reaction_content(target, "👍"))
    assert_matrix_error(reply, 400, "M_DUPLICATE_ANNOTATION")
    await bob.api.react(room, target, "🎉")
    await alice.api.react(room, target, "👍")
