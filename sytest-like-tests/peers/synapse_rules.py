"""Shows rooms to Synapse's own rules and tells where it disagrees.

Run by the Python of Synapse's virtual environment: cases on standard input as
`state-resolution/examples/rule_cases.rs` writes them, one JSON object on standard output: how much
was compared, and every disagreement as text. What is asked of Synapse are its pure functions: event
ids, hashes, redaction, signatures, authorisation, and state resolution v1, v2 and v2.1.
"""

import asyncio
import json
import logging
import sys
from collections import Counter

from canonicaljson import encode_canonical_json
from signedjson.key import decode_verify_key_bytes
from signedjson.sign import SignatureVerifyException, verify_signed_json
from synapse import event_auth
from synapse.api.errors import SynapseError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.crypto.event_signing import check_event_content_hash
from synapse.events import make_event_from_json
from synapse.state import v1, v2
from synapse.storage.databases.main.event_federation import StateDifference
from synapse.synapse_rust.events import redact_event_dict
from unpaddedbase64 import decode_base64

compared: Counter = Counter()
disagreements: list = []


def disagree(room: dict, what: str) -> None:
    disagreements.append(f"version {room['version']}: {what}")


class Store:
    """The events of one room, as Synapse's algorithms ask for them."""

    def __init__(self) -> None:
        self.events: dict = {}

    async def sleep(self, duration: object) -> None:
        """Resolution yields now and then; here nobody else waits."""

    async def get_events(self, event_ids, *args, **kwargs) -> dict:
        return {event_id: self.events[event_id] for event_id in event_ids}

    def chain(self, event_ids) -> set:
        seen: set = set()
        waiting = list(event_ids)
        while waiting:
            event_id = waiting.pop()
            if event_id not in seen:
                seen.add(event_id)
                waiting.extend(self.events[event_id].auth_event_ids())
        return seen

    async def get_auth_chain_difference(self, room_id, state_sets, conflicted, additional) -> StateDifference:
        chains = [self.chain(state_set) for state_set in state_sets]
        subgraph = None
        if conflicted is not None:
            behind = self.chain(conflicted)
            subgraph = {event_id for event_id in behind if self.chain([event_id]) & conflicted}
        return StateDifference(set.union(*chains) - set.intersection(*chains), subgraph)


def read_event(room: dict, written: dict):
    """The event as Synapse reads it, once everything about its form was compared."""
    version = KNOWN_ROOM_VERSIONS[room["version"]]
    pdu = written["pdu"]
    event = make_event_from_json(json.dumps(pdu), version)
    compared["events"] += 1
    if event.event_id != written["id"]:
        disagree(room, f"the id of {pdu} is {event.event_id}")
    if not check_event_content_hash(event):
        disagree(room, f"the content hash of {pdu}")
    redacted = redact_event_dict(version, event.get_dict())
    redacted.pop("unsigned", None)
    if encode_canonical_json(redacted) != encode_canonical_json(written["redacted"]):
        disagree(room, f"{pdu} is redacted to {redacted}")
    for server, signatures in pdu["signatures"].items():
        for key_id in signatures:
            key = decode_verify_key_bytes(key_id, decode_base64(room["keys"][server][key_id]))
            try:
                verify_signed_json(redacted, server, key)
            except SignatureVerifyException as error:
                disagree(room, f"the signature of {pdu}: {error}")
    event_auth.validate_event_for_room_version(event)
    return event


async def judge(store: Store, event, state: list) -> str | None:
    """Why Synapse refuses the event, if it does."""
    try:
        await event_auth.check_state_independent_auth_rules(store, event)
        event_auth.check_state_dependent_auth_rules(event, state)
    except SynapseError as error:
        return error.msg
    except (TypeError, ValueError) as error:
        # Not a verdict, but the event is not accepted either.
        return repr(error)
    return None


async def resolve(room: dict, store: Store, states: list) -> set:
    version = KNOWN_ROOM_VERSIONS[room["version"]]
    maps = []
    for event_ids in states:
        events = [store.events[event_id] for event_id in event_ids]
        maps.append({(event.type, event.state_key): event.event_id for event in events})
    if room["version"] == "1":
        resolved = await v1.resolve_events_with_store(room["room_id"], version, maps, None, store.get_events)
    else:
        resolved = await v2.resolve_events_with_store(store, room["room_id"], version, maps, None, store)
    return set(resolved.values())


async def compare(room: dict) -> None:
    store = Store()
    for written in room["events"]:
        event = read_event(room, written)
        store.events[event.event_id] = event
    for attempt in room["attempts"]:
        event = read_event(room, attempt["event"])
        refusal = await judge(store, event, [store.events[event_id] for event_id in attempt["state"]])
        compared["allowed" if refusal is None else "refused"] += 1
        if (refusal is None) != attempt["allowed"]:
            ours = attempt["reason"] or "allowed"
            disagree(room, f"{attempt['event']['pdu']}: Synapse {refusal or 'allows'}; Nexus: {ours}")
    for resolution in room["resolutions"]:
        states = resolution["states"]
        compared[f"resolutions of version {room['version']}"] += 1
        compared["conflicts"] += len({tuple(sorted(state)) for state in states}) > 1
        resolved = await resolve(room, store, states)
        if resolved != set(resolution["resolved"]):
            only = sorted(resolved - set(resolution["resolved"])), sorted(set(resolution["resolved"]) - resolved)
            named = [[f"{store.events[i].type} {store.events[i].get('state_key')} {i}" for i in ids] for ids in only]
            disagree(room, f"resolution: only Synapse has {named[0]}, only Nexus has {named[1]}")


async def main() -> None:
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        compared["rooms"] += 1
        await compare(json.loads(line))
    json.dump({"compared": compared, "disagreements": disagreements[:20]}, sys.stdout)


asyncio.run(main())
