#!/usr/bin/env bash
# Makes the environment and runs the linter and all tests, two at a time; arguments go to pytest
# (-n 0: one at a time). Tests on real faces run where DFJAX_TEST_DATA names their folder.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
ruff check .
ruff format --check .
python -m pytest -n 2 --dist worksteal "$@"
