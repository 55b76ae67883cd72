#!/usr/bin/env bash
# Installs what the black-box suite runs on, in the user's cache and outside the source tree:
# a Python virtualenv (pytest, aiohttp, matrix-nio) and a node_modules (discord.js).
# Each folder is named by the hash of its lock file, so a second run with nothing changed only
# compares two hashes. Sourcing this file sets NEXUS_TEST_PYTHON and NEXUS_TEST_NODE_MODULES.
# Needs python3 >= 3.11 with venv, node >= 20 and npm; says so and fails with 2 when one is missing.

nexus_test_setup() {
    local here cache python_folder node_folder
    here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || return 2
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/nexus
    mkdir -p "$cache" || return 2

    local tool
    for tool in python3 node npm sha256sum flock; do
        command -v "$tool" >/dev/null || {
            echo "sytest-like-tests: '$tool' is missing (Debian: apt-get install python3-venv nodejs npm coreutils util-linux)" >&2
            return 2
        }
    done

    python_folder=$cache/venv-$(sha256sum <"$here/requirements.txt" | cut -c1-16)
    node_folder=$cache/node-$(cat "$here/package.json" "$here/package-lock.json" | sha256sum | cut -c1-16)
    # One installer at a time; the stamp is written last, so a broken-off install starts again.
    (
        flock 9 || exit 2
        if [ ! -e "$python_folder/.ready" ]; then
            echo "sytest-like-tests: installing Python packages into $python_folder" >&2
            rm -rf "$python_folder"
            python3 -m venv "$python_folder" &&
                "$python_folder/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt" &&
                touch "$python_folder/.ready" || exit 2
        fi
        if [ ! -e "$node_folder/.ready" ]; then
            echo "sytest-like-tests: installing Node packages into $node_folder" >&2
            rm -rf "$node_folder"
            mkdir -p "$node_folder" &&
                cp "$here/package.json" "$here/package-lock.json" "$node_folder/" &&
                (cd "$node_folder" && npm ci --silent --no-audit --no-fund --ignore-scripts) &&
                touch "$node_folder/.ready" || exit 2
        fi
    ) 9>"$cache/.setup.lock" || return 2

    export NEXUS_TEST_PYTHON=$python_folder/bin/python
    export NEXUS_TEST_NODE_MODULES=$node_folder/node_modules
}

nexus_test_setup
