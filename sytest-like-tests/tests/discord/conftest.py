"""A bot in a fresh guild, and an ordinary member."""

from __future__ import annotations

import pytest

from harness.nexus_api import Account, Bot
from harness.scene import Guild


@pytest.fixture
async def bot(guild: Guild) -> Bot:
    return await guild.new_bot()


@pytest.fixture
async def member(guild: Guild) -> Account:
    return await guild.new_member()
