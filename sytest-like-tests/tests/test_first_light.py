"""The main job on real input: a discord.js bot and a matrix-nio client share a guild channel.

Both are unmodified; the server is killed with SIGKILL while both are sending, and started again.
"""

from __future__ import annotations

import aiohttp
import pytest

from harness.first_light import FirstLight
from harness.server import NexusServer

EACH = 150


@pytest.mark.alone
async def test_bot_and_matrix_client_share_a_channel_across_kill_9(
    own_server: NexusServer, session: aiohttp.ClientSession
) -> None:
    scene = FirstLight(own_server, session)
    try:
        await scene.gather()
        event_id, message_id = await scene.messages()
        await scene.edits(event_id, message_id)
        await scene.reactions(event_id, message_id)
        await scene.deletions(event_id, message_id)
        seen = await scene.kill_in_mid_stream(EACH)

        sent = {f"{prefix}{n}" for prefix in ("nio-", "bot-") for n in range(EACH)}
        assert set(seen.acked_by_nio) | set(seen.acked_by_bot) == sent
        assert len(seen.order_rest) == len(set(seen.order_rest)), "a message is there twice"
        assert set(seen.order_rest) == sent, "what was acknowledged is not what is stored"
        assert seen.order_messages == seen.order_rest, "/messages and REST differ in order"
        assert seen.order_nio == seen.order_rest, "nio saw another order, gaps or duplicates"
        assert seen.order_bot == seen.order_rest, "discord.js saw another order, gaps or duplicates"

        # And it goes on: both still hear each other after the restart.
        await scene.messages_after_restart()
        assert not scene.bot.errors, f"discord.js reported errors: {scene.bot.errors}"
    finally:
        await scene.close()
