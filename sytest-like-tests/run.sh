#!/usr/bin/env bash
# Runs the black-box suite against a built server: sytest-like-tests/run.sh [pytest arguments].
# NEXUS_BINARY names the binary (default: ${CARGO_TARGET_DIR:-target}/debug/nexus);
# NEXUS_TEST_JOBS the number of parallel workers (default 4; they mostly wait on sockets).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=setup.sh
source "$here/setup.sh"

target=${CARGO_TARGET_DIR:-$here/../target}
export NEXUS_BINARY=${NEXUS_BINARY:-$target/debug/nexus}
if [ ! -x "$NEXUS_BINARY" ]; then
    echo "sytest-like-tests: no server binary at $NEXUS_BINARY (build it, or set NEXUS_BINARY)" >&2
    exit 2
fi
NEXUS_BINARY=$(realpath "$NEXUS_BINARY")
export NEXUS_BINARY

cd "$here"
export PYTHONDONTWRITEBYTECODE=1
exec "$NEXUS_TEST_PYTHON" -m pytest -p no:cacheprovider -n "${NEXUS_TEST_JOBS:-4}" "$@"
