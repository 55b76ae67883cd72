"""What a reply or an object must look like; every matcher raises AssertionError saying what is off.

Sources: design §6 (error shapes), reference discord-gateway.md §4 (fields that clients insist on).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from harness.wire import Json, Reply

SNOWFLAKE = re.compile(r"^[1-9][0-9]{16,18}$")
TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)$")

USER_FIELDS = frozenset({"id", "username", "discriminator", "avatar", "mxid"})
ROLE_FIELDS = frozenset(
    "id name color colors hoist position permissions managed mentionable flags".split()
)
CHANNEL_FIELDS = frozenset({"id", "type", "name", "position", "guild_id", "room_id"})
MEMBER_FIELDS = frozenset(
    "user roles deaf mute flags joined_at nick avatar pending communication_disabled_until".split()
)
MESSAGE_FIELDS = frozenset(
    "id channel_id type content author timestamp edited_timestamp tts pinned mention_everyone "
    "mentions mention_roles attachments embeds flags components event_id".split()
)
GUILD_FIELDS = frozenset(
    "id name owner_id afk_timeout verification_level default_message_notifications "
    "explicit_content_filter mfa_level nsfw_level premium_tier preferred_locale "
    "premium_progress_bar_enabled system_channel_flags features roles emojis stickers "
    "room_id".split()
)
GUILD_CREATE_FIELDS = GUILD_FIELDS | frozenset(
    "members channels threads presences voice_states stage_instances guild_scheduled_events "
    "joined_at large member_count".split()
)
READY_FIELDS = frozenset(
    "v user guilds session_id resume_gateway_url application private_channels".split()
)


def has_fields(what: str, value: Json, fields: Iterable[str]) -> None:
    """`value` is an object with at least these keys (null counts as there)."""
    assert isinstance(value, Mapping), f"{what} is not an object: {value!r}"
    missing = sorted(set(fields) - set(value))
    assert not missing, f"{what} lacks {missing}: has {sorted(value)}"


def is_snowflake(value: Json) -> bool:
    """A string of 17 to 19 digits: discord.js's buckets match nothing else."""
    return isinstance(value, str) and SNOWFLAKE.match(value) is not None


def assert_matrix_error(reply: Reply, status: int, errcode: str | None) -> dict[str, Any]:
    """A Matrix error: object with `errcode` and `error`, as application/json."""
    assert reply.status == status, f"expected {status} {errcode}: {reply}"
    assert reply.headers.get("Content-Type", "").startswith("application/json"), (
        f"content type {reply.headers.get('Content-Type')!r}: {reply}"
    )
    body = reply.json()
    has_fields("Matrix error", body, {"errcode", "error"})
    assert isinstance(body["error"], str), f"error is not a string: {reply}"
    if errcode is not None:
        assert body["errcode"] == errcode, f"expected {errcode}: {reply}"
    return dict(body)


def assert_discord_error(reply: Reply, status: int, code: int | None) -> dict[str, Any]:
    """A Discord error: object with int `code` and `message`; the content type is exact."""
    assert reply.status == status, f"expected {status} code {code}: {reply}"
    # With "; charset=utf-8" discord.py takes every body for text.
    assert reply.headers.get("Content-Type") == "application/json", (
        f"content type {reply.headers.get('Content-Type')!r}: {reply}"
    )
    body = reply.json()
    has_fields("Discord error", body, {"code", "message"})
    assert isinstance(body["code"], int) and isinstance(body["message"], str), str(reply)
    if code is not None:
        assert body["code"] == code, f"expected code {code}: {reply}"
    return dict(body)


def assert_form_error(reply: Reply, *path: str) -> None:
    """Code 50035 whose `errors` tree mirrors the body path down to `_errors` leaves."""
    body = assert_discord_error(reply, 400, 50035)
    node: Any = body.get("errors")
    for key in path:
        assert isinstance(node, Mapping) and key in node, f"errors has no {'.'.join(path)}: {reply}"
        node = node[key]
    leaves = node.get("_errors") if isinstance(node, Mapping) else None
    assert isinstance(leaves, list) and leaves, f"no _errors at {'.'.join(path)}: {reply}"
    for leaf in leaves:
        has_fields("form error leaf", leaf, {"code", "message"})
