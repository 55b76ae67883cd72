#!/usr/bin/env python3
"""Writes permissions.json: what members of a guild may do, by a model that goes bit by bit through Discord's prose.

It shares no code with the server. The cases under HAND were written by hand, with their results; the others are
drawn with a fixed seed. `./permissions.py` writes the file anew, `./permissions.py --check` only compares.
"""

import base64
import hashlib
import json
import pathlib
import random
import sys

NAMES = """CREATE_INSTANT_INVITE KICK_MEMBERS BAN_MEMBERS ADMINISTRATOR MANAGE_CHANNELS MANAGE_GUILD ADD_REACTIONS
VIEW_AUDIT_LOG PRIORITY_SPEAKER STREAM VIEW_CHANNEL SEND_MESSAGES SEND_TTS_MESSAGES MANAGE_MESSAGES EMBED_LINKS
ATTACH_FILES READ_MESSAGE_HISTORY MENTION_EVERYONE USE_EXTERNAL_EMOJIS VIEW_GUILD_INSIGHTS CONNECT SPEAK MUTE_MEMBERS
DEAFEN_MEMBERS MOVE_MEMBERS USE_VAD CHANGE_NICKNAME MANAGE_NICKNAMES MANAGE_ROLES MANAGE_WEBHOOKS
MANAGE_GUILD_EXPRESSIONS USE_APPLICATION_COMMANDS REQUEST_TO_SPEAK MANAGE_EVENTS MANAGE_THREADS CREATE_PUBLIC_THREADS
CREATE_PRIVATE_THREADS USE_EXTERNAL_STICKERS SEND_MESSAGES_IN_THREADS USE_EMBEDDED_ACTIVITIES MODERATE_MEMBERS
VIEW_CREATOR_MONETIZATION_ANALYTICS USE_SOUNDBOARD CREATE_GUILD_EXPRESSIONS CREATE_EVENTS USE_EXTERNAL_SOUNDS
SEND_VOICE_MESSAGES - SET_VOICE_CHANNEL_STATUS SEND_POLLS USE_EXTERNAL_APPS PIN_MESSAGES BYPASS_SLOWMODE""".split()
BITS = {name: 1 << bit for bit, name in enumerate(NAMES) if name != "-"}
ALL = sum(BITS.values())
OF_THE_GUILD = {
    "KICK_MEMBERS", "BAN_MEMBERS", "ADMINISTRATOR", "MANAGE_GUILD", "VIEW_AUDIT_LOG", "VIEW_GUILD_INSIGHTS",
    "CHANGE_NICKNAME", "MANAGE_NICKNAMES", "MANAGE_GUILD_EXPRESSIONS", "MODERATE_MEMBERS",
    "VIEW_CREATOR_MONETIZATION_ANALYTICS", "CREATE_GUILD_EXPRESSIONS",
}
READING = {"VIEW_CHANNEL", "READ_MESSAGE_HISTORY"}
WITH_A_MESSAGE = {"MENTION_EVERYONE", "SEND_TTS_MESSAGES", "ATTACH_FILES", "EMBED_LINKS"}

GUILD, CHANNEL, OTHER_CHANNEL = "!guild", "!channel", "!other"
OWNER, MEMBER, OTHER = "@olga:a.example", "@max:b.example", "@mia:a.example"
NOW = 1_795_305_600_000


def bits(*names):
    return sum(BITS[name] for name in names)


def short_hash(text, length):
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:length]).decode().rstrip("=")


def member_key(user):
    return short_hash(user, 16)


def overwrite_key(channel, target):
    return short_hash(channel, 12) + "." + short_hash(target, 16)


# State events: (type, state key, content).


def guild(owner=OWNER, **more):
    return ("nexus.guild", "", {"owner": owner, "stewards": ["@nexus:a.example"], "features": [], **more})


def channel(kind="text", room=CHANNEL):
    return ("nexus.channel", room, {"kind": kind, "position": 0})


def role(role_id, permissions, **more):
    name = "@everyone" if role_id == "everyone" else f"role {role_id}"
    return ("nexus.role", role_id, {"name": name, "permissions": str(permissions), "position": 1, **more})


def member(*roles, user=MEMBER, **more):
    return ("nexus.member", member_key(user), {"user": user, "roles": list(roles), **more})


def overwrite(target, allow=0, deny=0, room=CHANNEL):
    field = "user" if target.startswith("@") else "role"
    content = {"channel": room, field: target, "allow": str(allow), "deny": str(deny)}
    return ("nexus.overwrite", overwrite_key(room, target), content)


def joined(user=MEMBER, membership="join"):
    return ("m.room.member", user, {"membership": membership})


# The model: one permission at a time.


def to_bits(value):
    if isinstance(value, bool):
        return 0
    if isinstance(value, int):
        return value if 0 <= value < 1 << 64 else 0
    if isinstance(value, str) and value.isascii() and value.isdigit() and int(value) < 1 << 64:
        return int(value)
    return 0


class Model:
    def __init__(self, state, user, room, in_thread, now):
        # The later event of a type and state key is the state.
        self.state = {(kind, key): content for kind, key, content in state}
        self.user, self.room, self.in_thread, self.now = user, room, in_thread, now
        said = self.state.get(("nexus.member", member_key(user)))
        self.unread = said is not None and said.get("user") != user
        self.said = {} if said is None or self.unread else said
        held = [role_id for role_id in self.said.get("roles", []) if role_id != "everyone"]
        self.roles = [role_id for role_id in held if self.role(role_id) is not None]

    def role(self, role_id):
        """None: there is none; {}: it was emptied."""
        if role_id != "everyone" and not (role_id.isdigit() and role_id[0] != "0"):
            return None
        content = self.state.get(("nexus.role", role_id))
        return content if content is not None and (content.get("name") or not content) else None

    def by_roles(self, name):
        held = [self.role(held) for held in [*self.roles, "everyone"]]
        return any(to_bits((content or {}).get("permissions")) & BITS[name] for content in held)

    def overwrites(self):
        for (kind, key), content in self.state.items():
            if kind != "nexus.overwrite" or key.split(".")[0] != short_hash(self.room, 12):
                continue
            target = content.get("role") or content.get("user")
            if content.get("channel") == self.room and target is None:
                continue
            fits = content.get("channel") == self.room and key == overwrite_key(self.room, target)
            yield (target if fits else None), to_bits(content.get("allow")), to_bits(content.get("deny"))

    def level(self, name, concerns):
        said = None
        for target, allow, deny in self.overwrites():
            if target is None or not concerns(target):
                continue
            emptied = not target.startswith("@") and not self.role(target)
            if allow & BITS[name] and not emptied:
                return True
            if deny & BITS[name]:
                said = False
        return said

    def granted(self, name):
        answer = self.by_roles(name)
        if self.room is None or name in OF_THE_GUILD:
            return answer
        for concerns in (lambda t: t == "everyone", lambda t: t in self.roles, lambda t: t == self.user):
            said = self.level(name, concerns)
            answer = answer if said is None else said
        return answer

    def may(self, name):
        guild_says = self.state.get(("nexus.guild", ""), {})
        if self.state.get(("m.room.member", self.user), {}).get("membership") != "join":
            return False
        owner = guild_says.get("owner")
        if not isinstance(owner, str) or not owner.startswith("@") or ":" not in owner:
            return False
        if owner == self.user or self.by_roles("ADMINISTRATOR"):
            return True
        until = self.said.get("timeout_until_ms")
        timed_out = self.unread or (isinstance(until, int) and until > self.now)
        if timed_out and name not in READING:
            return False
        if self.room is None:
            return self.granted(name)
        if any(target is None for target, _, _ in self.overwrites()):
            return False
        if not self.granted("VIEW_CHANNEL"):
            return False
        kind = self.state[("nexus.channel", self.room)]["kind"]
        if kind in ("voice", "stage") and not self.granted("CONNECT"):
            return name == "VIEW_CHANNEL"
        can_send = self.granted("SEND_MESSAGES_IN_THREADS" if self.in_thread else "SEND_MESSAGES")
        if name == "SEND_MESSAGES":
            return can_send
        return self.granted(name) and (can_send or name not in WITH_A_MESSAGE)

    def all(self):
        return sum(bit for name, bit in BITS.items() if self.may(name))


def case(what, state, expected=None, user=MEMBER, room=CHANNEL, in_thread=False, now=NOW):
    found = Model(state, user, room, in_thread, now).all()
    if expected is not None and found != expected:
        raise SystemExit(f"{what}: the model finds {found}, by hand it is {expected}")
    return {
        "what": what,
        "state": [{"type": kind, "state_key": key, "content": content} for kind, key, content in state],
        "user": user,
        "channel": room,
        "in_thread": in_thread,
        "now_ms": now,
        "permissions": str(found),
    }


VIEW, SEND, HISTORY = bits("VIEW_CHANNEL"), bits("SEND_MESSAGES"), bits("READ_MESSAGE_HISTORY")
TALK = VIEW | SEND | HISTORY | bits(*WITH_A_MESSAGE)
START = [guild(), role("everyone", TALK), channel(), joined()]


def hand():
    admin, kick = bits("ADMINISTRATOR"), bits("KICK_MEMBERS")
    connect, speak = bits("CONNECT"), bits("SPEAK")
    threads = bits("SEND_MESSAGES_IN_THREADS")
    deny_all = overwrite("everyone", deny=ALL)
    yield case("everyone's bits", START, TALK)
    yield case("in the guild as a whole", START, TALK, room=None)
    yield case("who is no member", START, 0, user=OTHER)
    yield case("who has left", [*START, joined(membership="leave")], 0)
    yield case("who is invited", [*START, joined(membership="invite")], 0)
    yield case("who is banned", [*START, joined(membership="ban")], 0)
    yield case("the owner", [*START, joined(OWNER), deny_all], ALL, user=OWNER)
    yield case("the owner, timed out", [*START, joined(OWNER), member(user=OWNER, timeout_until_ms=NOW + 1)], ALL, user=OWNER)
    yield case("an owner who has left", START, 0, user=OWNER)
    yield case("an administrator past all overwrites", [*START, role("101", admin), member("101"), deny_all], ALL)
    yield case("an administrator, timed out", [*START, role("101", admin), member("101", timeout_until_ms=NOW + 1)], ALL)
    yield case("an administrator by @everyone", [*START, role("everyone", admin)], ALL)
    yield case("no administrator by overwrite", [*START, overwrite(MEMBER, allow=admin | kick)], TALK)
    yield case("what an overwrite denies of the guild stays", [*START, role("101", kick), member("101"), overwrite("101", deny=kick)], TALK | kick)
    yield case("bits that mean nothing", [*START, role("101", 1 << 47 | 1 << 60 | kick), member("101")], TALK | kick)
    yield case("bits as a number", [*START, ("nexus.role", "101", {"name": "n", "permissions": 2}), member("101")], TALK | kick)
    yield case("bits of a wrong type", [*START, ("nexus.role", "101", {"name": "n", "permissions": ["2"]}), member("101")], TALK)
    yield case("a negative number of bits", [*START, role("101", -2), member("101")], TALK)
    yield case("a role that does not exist", [*START, member("101"), overwrite("101", allow=bits("SPEAK"))], TALK)
    yield case("a deleted role", [*START, role("101", kick), member("101"), ("nexus.role", "101", {"nexus.actor": {}})], TALK)
    yield case("a role without a name", [*START, role("101", kick, name=""), member("101")], TALK)
    yield case("a role id with a zero before it", [*START, role("0101", kick), member("0101")], TALK)
    yield case("@everyone among one's roles", [*START, member("everyone")], TALK)
    yield case("roles add up", [*START, role("101", kick), role("102", speak), member("101", "102")], TALK | kick | speak)
    yield case("no @everyone: nothing but the roles", [guild(), channel(), joined(), role("101", VIEW), member("101")], VIEW)
    yield case("an allow on one role beats a deny on another", [*START, role("101", 0), role("102", 0), member("101", "102"), overwrite("101", deny=SEND), overwrite("102", allow=SEND)], TALK)
    yield case("a role's allow beats @everyone's deny", [*START, role("101", 0), member("101"), overwrite("everyone", deny=SEND), overwrite("101", allow=SEND)], TALK)
    yield case("the member's own overwrite comes last", [*START, role("101", 0), member("101"), overwrite("101", allow=SEND), overwrite(MEMBER, deny=SEND)], VIEW | HISTORY)
    yield case("another member's overwrite", [*START, overwrite(OTHER, deny=VIEW)], TALK)
    yield case("an overwrite of another channel", [*START, channel(room=OTHER_CHANNEL), overwrite("everyone", deny=VIEW, room=OTHER_CHANNEL)], TALK)
    yield case("allow and deny of one bit in one overwrite", [*START, overwrite("everyone", allow=SEND, deny=SEND)], TALK)
    yield case("without VIEW_CHANNEL nothing", [*START, overwrite("everyone", deny=VIEW)], 0)
    yield case("without SEND_MESSAGES no files, links, pings", [*START, overwrite("everyone", deny=SEND)], VIEW | HISTORY)
    yield case("a voice channel without CONNECT is only seen", [*START, channel("voice")], VIEW)
    yield case("a stage without CONNECT is only seen", [*START, channel("stage")], VIEW)
    yield case("a voice channel with CONNECT", [*START, channel("voice"), overwrite(MEMBER, allow=connect)], TALK | connect)
    yield case("a text channel has no need of CONNECT", [*START, overwrite("everyone", deny=connect)], TALK)
    yield case("a thread has a permission to send of its own", [*START, overwrite("everyone", allow=threads, deny=SEND)], TALK | threads, in_thread=True)
    yield case("a thread without it", START, VIEW | HISTORY, in_thread=True)
    yield case("a timeout leaves reading", [*START, member(timeout_until_ms=NOW + 1)], VIEW | HISTORY)
    yield case("a timeout in the guild as a whole", [*START, role("101", kick), member("101", timeout_until_ms=NOW + 1)], VIEW | HISTORY, room=None)
    yield case("a timeout that is just over", [*START, member(timeout_until_ms=NOW)], TALK)
    yield case("a timeout of a wrong type", [*START, member(timeout_until_ms="forever")], TALK)
    yield case("a timeout and an overwrite for the member", [*START, member(timeout_until_ms=NOW + 1), overwrite(MEMBER, allow=SEND)], VIEW | HISTORY)
    yield case("a timeout does not open a channel", [*START, member(timeout_until_ms=NOW + 1), overwrite("everyone", deny=VIEW)], 0)
    yield case("a timed out member in a voice channel with CONNECT", [*START, channel("voice"), overwrite("everyone", allow=connect), member(timeout_until_ms=NOW + 1)], VIEW | HISTORY)
    # What was emptied, by a redaction or otherwise.
    empty = {}
    yield case("an emptied overwrite closes the channel", [*START, overwrite(OTHER, deny=SEND), ("nexus.overwrite", overwrite_key(CHANNEL, OTHER), empty)], 0)
    yield case("but not another channel", [*START, channel(room=OTHER_CHANNEL), ("nexus.overwrite", overwrite_key(OTHER_CHANNEL, OTHER), empty)], TALK)
    yield case("nor to an administrator", [*START, role("101", admin), member("101"), ("nexus.overwrite", overwrite_key(CHANNEL, OTHER), empty)], ALL)
    yield case("an overwrite that was taken away", [*START, overwrite("everyone", deny=VIEW), ("nexus.overwrite", overwrite_key(CHANNEL, "everyone"), {"channel": CHANNEL})], TALK)
    yield case("an overwrite under another's key", [*START, ("nexus.overwrite", overwrite_key(CHANNEL, OTHER), {"channel": CHANNEL, "role": "everyone", "allow": "8"})], 0)
    yield case("an emptied member is silent and has no roles", [*START, role("101", kick), member("101"), ("nexus.member", member_key(MEMBER), empty)], VIEW | HISTORY)
    yield case("an emptied timeout is none that is over", [*START, member(timeout_until_ms=1), ("nexus.member", member_key(MEMBER), empty)], VIEW | HISTORY)
    yield case("a member's event under another's key", [*START, role("101", kick), ("nexus.member", member_key(OTHER), {"user": MEMBER, "roles": ["101"]})], TALK)
    yield case("a member that is said anew", [*START, ("nexus.member", member_key(MEMBER), empty), member()], TALK)
    yield case("an emptied role gives nothing, and its denials stay", [*START, role("101", kick), member("101"), overwrite("101", allow=speak, deny=SEND), ("nexus.role", "101", empty)], VIEW | HISTORY)
    yield case("an emptied @everyone", [*START, role("101", VIEW), member("101"), overwrite("everyone", allow=speak), ("nexus.role", "everyone", empty)], VIEW)
    yield case("an emptied guild is none", [*START, role("101", admin), member("101"), ("nexus.guild", "", empty)], 0)
    yield case("an owner that is no user id", [*START, guild("olga"), role("101", admin), member("101")], 0)
    yield case("an owner of a wrong type", [*START, guild(7), role("101", admin), member("101")], 0)


def drawn(count):
    dice = random.Random(7)

    def some_bits():
        kind = dice.randrange(10)
        if kind < 2:
            return 0
        if kind < 4:
            return TALK
        drawn_bits = dice.getrandbits(53) & ALL
        return drawn_bits if kind == 9 else drawn_bits & ~BITS["ADMINISTRATOR"]

    for number in range(count):
        kind = dice.choice(["text", "text", "voice", "category", "announcement", "forum", "stage"])
        state = [guild(), role("everyone", some_bits()), channel(kind), joined()]
        ids = [str(100 + held) for held in range(1, dice.randrange(1, 5))]
        state += [role(role_id, some_bits()) for role_id in ids]
        held = [role_id for role_id in ids if dice.random() < 0.7]
        timeout = {"timeout_until_ms": NOW + dice.choice([-1, 1])} if dice.random() < 0.2 else {}
        state.append(member(*held, **timeout))
        for target in ["everyone", *ids, MEMBER, OTHER]:
            if dice.random() < 0.5:
                state.append(overwrite(target, some_bits(), some_bits()))
        if dice.random() < 0.1:
            emptied = dice.randrange(4, len(state))
            state.append((state[emptied][0], state[emptied][1], {}))
        room = None if dice.random() < 0.1 else CHANNEL
        yield case(f"drawn {number}", state, room=room, in_thread=dice.random() < 0.2)


def main():
    path = pathlib.Path(__file__).with_name("permissions.json")
    cases = [*hand(), *drawn(200)]
    lines = ",\n".join("  " + json.dumps(one, ensure_ascii=False) for one in cases)
    text = '{ "bits": ' + json.dumps(BITS) + ', "cases": [\n' + lines + "\n] }\n"
    if "--check" in sys.argv:
        sys.exit(path.read_text() != text)
    path.write_text(text)


main()
