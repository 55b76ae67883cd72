"""Messages: send, edit, delete, history, replies, nonces."""

from __future__ import annotations

import asyncio
from datetime import datetime

from harness.matching import (
    MESSAGE_FIELDS,
    TIMESTAMP,
    USER_FIELDS,
    assert_discord_error,
    has_fields,
    is_snowflake,
)
from harness.nexus_api import Account, Bot
from harness.scene import Guild


async def contents(guild: Guild) -> list[str]:
    return [m["content"] for m in await guild.owner.api.whole_history(guild.channel) if m["type"] in (0, 19)]


async def test_message_object(guild: Guild) -> None:
    made = await guild.owner.api.say(guild.channel, "Grüße **fett** 世界 🌍")
    has_fields("message", made, MESSAGE_FIELDS)
    has_fields("author", made["author"], USER_FIELDS)
    assert made["content"] == "Grüße **fett** 世界 🌍" and made["channel_id"] == guild.channel
    assert is_snowflake(made["id"]) and TIMESTAMP.match(made["timestamp"])
    assert made["edited_timestamp"] is None and made["event_id"].startswith("$")
    assert made["author"]["id"] == guild.owner.id and made["type"] == 0
    assert await guild.owner.api.get(f"/channels/{guild.channel}/messages/{made['id']}") == made


async def test_snowflake_tells_the_time(guild: Guild) -> None:
    made = await guild.owner.api.say(guild.channel, "when")
    stamp = datetime.fromisoformat(made["timestamp"].replace("Z", "+00:00")).timestamp() * 1000
    assert abs((int(made["id"]) >> 22) + 1_420_070_400_000 - stamp) < 2000


async def test_2000_characters_of_any_width(guild: Guild) -> None:
    for letter in ("x", "é", "界"):
        made = await guild.owner.api.say(guild.channel, letter * 2000)
        assert made["content"] == letter * 2000


async def test_order_by_id_is_order_of_sending(guild: Guild) -> None:
    sent = [(await guild.owner.api.say(guild.channel, f"n{n}"))["id"] for n in range(20)]
    assert sent == sorted(sent, key=int) and len(set(sent)) == 20
    assert [m["id"] for m in await guild.owner.api.history(guild.channel, limit=20)] == sent[::-1]


async def test_history_pages(guild: Guild) -> None:
    sent = [(await guild.owner.api.say(guild.channel, f"n{n}"))["id"] for n in range(60)]

    async def page(**params: str | int) -> list[str]:
        return [m["id"] for m in await guild.owner.api.history(guild.channel, **params)]

    assert await page() == sent[:9:-1], "50 by default, newest first"
    assert await page(limit=3) == sent[:-4:-1]
    assert await page(limit=5, before=sent[10]) == sent[5:10][::-1]
    assert await page(limit=5, after=sent[10]) == sent[11:16][::-1]
    around = await page(limit=5, around=sent[30])
    assert around == sent[28:33][::-1]
    assert await page(limit=5, after=sent[-1]) == []
    whole = await guild.owner.api.whole_history(guild.channel)
    assert [m["id"] for m in whole if m["content"].startswith("n")] == sent


async def test_cursors_need_not_name_a_message(guild: Guild) -> None:
    sent = [(await guild.owner.api.say(guild.channel, f"n{n}"))["id"] for n in range(3)]
    between = str(int(sent[1]) + 1)
    assert [m["id"] for m in await guild.owner.api.history(guild.channel, before=between)][:2] == sent[1::-1]
    assert [m["id"] for m in await guild.owner.api.history(guild.channel, after=between)] == [sent[2]]
    assert [m["id"] for m in await guild.owner.api.history(guild.channel, after="0", limit=100)][0] == sent[2]


async def test_edit(guild: Guild) -> None:
    made = await guild.owner.api.say(guild.channel, "before")
    edited = await guild.owner.api.edit(guild.channel, made["id"], "after")
    assert edited["id"] == made["id"] and edited["content"] == "after"
    assert TIMESTAMP.match(edited["edited_timestamp"]) and edited["timestamp"] == made["timestamp"]
    assert (await guild.owner.api.history(guild.channel, limit=1))[0] == edited
    again = await guild.owner.api.edit(guild.channel, made["id"], "after all")
    assert again["content"] == "after all"


async def test_delete(guild: Guild) -> None:
    made = await guild.owner.api.say(guild.channel, "gone")
    await guild.owner.api.unsay(guild.channel, made["id"])
    path = f"/channels/{guild.channel}/messages/{made['id']}"
    for method in ("GET", "DELETE"):
        assert_discord_error(await guild.owner.api.call(method, path), 404, 10008)
    reply = await guild.owner.api.call("PATCH", path, body={"content": "back"})
    assert_discord_error(reply, 404, 10008)
    assert made["id"] not in [m["id"] for m in await guild.owner.api.history(guild.channel)]


async def test_moderator_deletes_anothers(guild: Guild, member: Account, bot: Bot) -> None:
    first = await member.api.say(guild.channel, "rude")
    await guild.owner.api.unsay(guild.channel, first["id"])
    second = await member.api.say(guild.channel, "rude again")
    await bot.api.unsay(guild.channel, second["id"])
    assert not {"rude", "rude again"} & set(await contents(guild))


async def test_reply(guild: Guild, member: Account) -> None:
    made = await guild.owner.api.say(guild.channel, "question")
    reference = {"message_id": made["id"], "fail_if_not_exists": True}
    answer = await member.api.say(guild.channel, "answer", message_reference=reference)
    assert answer["type"] == 19
    assert answer["message_reference"]["message_id"] == made["id"]
    assert answer["message_reference"]["channel_id"] == guild.channel
    assert answer["referenced_message"]["id"] == made["id"]
    read = await guild.owner.api.get(f"/channels/{guild.channel}/messages/{answer['id']}")
    assert read["referenced_message"]["content"] == "question"


async def test_reply_with_integer_ids(guild: Guild) -> None:
    made = await guild.owner.api.say(guild.channel, "question")
    reference = {"message_id": int(made["id"]), "channel_id": int(guild.channel)}
    answer = await guild.owner.api.say(guild.channel, "answer", message_reference=reference)
    assert answer["message_reference"]["message_id"] == made["id"]


async def test_reply_to_nothing(guild: Guild) -> None:
    reference = {"message_id": "1300000000000000001", "fail_if_not_exists": True}
    body = {"content": "answer", "message_reference": reference}
    reply = await guild.owner.api.call("POST", f"/channels/{guild.channel}/messages", body=body)
    assert_discord_error(reply, 400, 50035)
    lenient = {**reference, "fail_if_not_exists": False}
    assert (await guild.owner.api.say(guild.channel, "anyway", message_reference=lenient))["content"] == "anyway"


async def test_deleted_reference_reads_as_null(guild: Guild) -> None:
    made = await guild.owner.api.say(guild.channel, "question")
    answer = await guild.owner.api.say(
        guild.channel, "answer", message_reference={"message_id": made["id"]}
    )
    await guild.owner.api.unsay(guild.channel, made["id"])
    read = await guild.owner.api.get(f"/channels/{guild.channel}/messages/{answer['id']}")
    assert read["referenced_message"] is None


async def test_nonce_is_echoed(guild: Guild) -> None:
    made = await guild.owner.api.say(guild.channel, "x", nonce="n-1")
    assert made["nonce"] == "n-1"
    assert (await guild.owner.api.say(guild.channel, "y", nonce=12345))["nonce"] in (12345, "12345")


async def test_nonce_alone_does_not_deduplicate(guild: Guild) -> None:
    ids = {(await guild.owner.api.say(guild.channel, "x", nonce="same"))["id"] for _ in range(2)}
    assert len(ids) == 2


async def test_enforced_nonce_is_idempotent(guild: Guild, member: Account) -> None:
    first = await guild.owner.api.say(guild.channel, "once", nonce="same", enforce_nonce=True)
    again = await guild.owner.api.say(guild.channel, "other words", nonce="same", enforce_nonce=True)
    assert again["id"] == first["id"] and again["content"] == "once"
    other = await member.api.say(guild.channel, "mine", nonce="same", enforce_nonce=True)
    assert other["id"] != first["id"], "the nonce belongs to its author"
    assert (await contents(guild)).count("once") == 1


async def test_concurrent_sends_with_one_nonce(guild: Guild) -> None:
    made = await asyncio.gather(
        *(guild.owner.api.say(guild.channel, "at once", nonce="storm", enforce_nonce=True) for _ in range(12))
    )
    assert len({m["id"] for m in made}) == 1
    assert (await contents(guild)).count("at once") == 1


async def test_mentions(guild: Guild, member: Account) -> None:
    made = await guild.owner.api.say(guild.channel, f"hello <@{member.id}> in <#{guild.channel}>")
    assert made["content"] == f"hello <@{member.id}> in <#{guild.channel}>", "translated losslessly"
    assert [u["id"] for u in made["mentions"]] == [member.id]


async def test_no_text_in_a_category(guild: Guild) -> None:
    made = await guild.owner.api.make_channel(guild.id, "not-text", 4)
    reply = await guild.owner.api.call("POST", f"/channels/{made['id']}/messages", body={"content": "x"})
    assert_discord_error(reply, 400, 50008)
