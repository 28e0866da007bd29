#!/usr/bin/env bash
# Makes the environment and runs the linter and all tests; arguments go to pytest. Tests on real
# faces run where DFJAX_TEST_DATA names their folder.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
ruff check .
ruff format --check .
python -m pytest "$@"
