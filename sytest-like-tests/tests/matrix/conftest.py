"""Two people with Matrix accounts, and a room both are in."""

from __future__ import annotations

import pytest

from harness.matrix_api import MatrixAccount, MatrixApi


@pytest.fixture
async def alice(matrix: MatrixApi) -> MatrixAccount:
    return await matrix.register()


@pytest.fixture
async def bob(matrix: MatrixApi) -> MatrixAccount:
    return await matrix.register()


@pytest.fixture
async def room(alice: MatrixAccount, bob: MatrixAccount) -> str:
    """Alice's public room, joined by Bob."""
    room_id = await alice.api.create_room(preset="public_chat")
    await bob.api.join(room_id)
    return room_id
