#!/usr/bin/env bash
# Make .venv from the locked requirements.txt; says in a sentence what is in the way.
set -u
venv=${1:-.venv}
python=${PYTHON:-python3.11}

fail() { echo "$*" >&2; exit 1; }

command -v "$python" >/dev/null || python=python3
command -v "$python" >/dev/null || fail "Python 3.11 is needed and no python3 is on the path. Install it, or say which: make run PYTHON=/path/to/python3.11"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ "$version" = 3.11 ] || fail "Python 3.11 is needed; $python is $version. Say which one to use: make run PYTHON=/path/to/python3.11"
"$python" -c 'import venv, ensurepip' 2>/dev/null || fail "This Python cannot make virtual environments. On Debian or Ubuntu: apt install python3.11-venv"

free=$(df -Pk . | awk 'NR == 2 { print $4 }')
[ "$free" -gt 3000000 ] || fail "Too little disk: $((free / 1024)) MB are free here, and 3000 MB are needed for the packages and the tables."

digest=$(sha256sum requirements.txt | cut -d' ' -f1)
[ "$(cat "$venv/.locked" 2>/dev/null)" = "$digest" ] && exit 0

start=$SECONDS
echo "Installing the locked packages into $venv ..."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || fail "The virtual environment $venv could not be made."
if [ ! -x "$venv/bin/uv" ]; then
  uv=$(sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements.txt)
  "$venv/bin/python" -m pip install -q --disable-pip-version-check "$uv" >"$log" 2>&1 || {
    tail -n 3 "$log" >&2
    fail "The package registry cannot be reached, or does not have $uv. Check the network and pip's settings (pip config list), then run make again."
  }
fi
"$venv/bin/uv" pip sync -q --require-hashes --python "$venv/bin/python" requirements.txt >"$log" 2>&1 || {
  tail -n 5 "$log" >&2
  fail "The locked packages could not be installed (see above). Check the network and the package registry, then run make again."
}
echo "$digest" >"$venv/.locked"
echo "Installed in $((SECONDS - start)) s."
