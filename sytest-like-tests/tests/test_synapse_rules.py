"""Our rules against Synapse's own: ids, hashes, redaction, signatures, authorisation, state resolution.

`state-resolution/examples/rule_cases.rs` draws rooms of every version and says what our core makes of
them; `peers/synapse_rules.py` asks the pure functions of the Synapse that PyPI has. A disagreement is a
room that two servers would see differently. NEXUS_RULE_ROOMS (rooms of each version) and
NEXUS_RULE_SEED make longer runs, see `scripts/soak`.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from bench.synapse import install_synapse
from harness.server import binary_path

ROOMS = int(os.environ.get("NEXUS_RULE_ROOMS", "10"))
SEED = int(os.environ.get("NEXUS_RULE_SEED", "1"))
PEER = Path(__file__).parent.parent / "peers" / "synapse_rules.py"


def rule_cases() -> Path:
    """The program is built beside the server, by `cargo build --all-targets`."""
    named = os.environ.get("NEXUS_RULE_CASES")
    return Path(named) if named else binary_path().parent / "examples" / "rule_cases"


def test_attack_03_synapse_and_nexus_agree_on_every_rule() -> None:
    program = rule_cases()
    assert program.exists(), f"{program} is not built: cargo build -p nexus-state-resolution --example rule_cases"
    peer_command = [str(install_synapse()), str(PEER)]
    with subprocess.Popen([program, str(ROOMS), str(SEED)], stdout=subprocess.PIPE) as cases:
        peer = subprocess.run(peer_command, stdin=cases.stdout, capture_output=True, text=True)
    assert cases.returncode == 0, f"rule_cases exited with {cases.returncode}"
    assert peer.returncode == 0, peer.stderr
    answer = json.loads(peer.stdout)
    disagreements = "\n".join(answer["disagreements"])
    assert not disagreements, f"seed {SEED}, {ROOMS} rooms of each version:\n{disagreements}"
    compared = answer["compared"]
    assert compared["rooms"] == 12 * ROOMS
    # The drawn rooms have enough of everything for the agreement to mean something.
    assert min(compared["allowed"], compared["refused"]) > 150 * ROOMS, compared
    assert compared["conflicts"] > 30 * ROOMS, compared
    assert all(compared[f"resolutions of version {version}"] == 4 * ROOMS for version in range(1, 13)), compared
