#!/usr/bin/env bash
# Makes .venv with the pinned packages and dfjax itself, or brings it up to date. Sourced by the
# other scripts, which then run in it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python="${PYTHON:-python3}"
if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))'; then
  echo "dfjax needs Python 3.11 or 3.12, and $python is $("$python" --version 2>&1):" \
    "set PYTHON to one of these" >&2
  exit 2
fi
if [ ! -x .venv/bin/python ] && ! "$python" -m venv .venv; then
  echo "$python cannot make a virtual environment: install its venv package, or set PYTHON" >&2
  exit 2
fi
if ! cmp -s requirements.txt .venv/requirements.txt; then
  echo "installing the packages of requirements.txt into .venv"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
  cp requirements.txt .venv/requirements.txt
fi
# shellcheck disable=SC1091
source .venv/bin/activate
