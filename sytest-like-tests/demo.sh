#!/usr/bin/env bash
# `make demo`: installs what the scene needs and plays it. Same environment as run.sh.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=setup.sh
source "$here/setup.sh"

target=${CARGO_TARGET_DIR:-$here/../target}
NEXUS_BINARY=$(realpath "${NEXUS_BINARY:-$target/debug/nexus}")
export NEXUS_BINARY PYTHONDONTWRITEBYTECODE=1
cd "$here"
exec "$NEXUS_TEST_PYTHON" demo.py
