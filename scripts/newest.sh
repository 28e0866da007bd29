#!/usr/bin/env bash
# Installs the newest releases of everything that dfjax builds on, whatever upper bounds pyproject.toml
# states, runs a short suite with them, and writes docs/newest.md: what was installed, and what failed. No
# gate: it tells when a bound may be lifted, and what that would take. About a quarter of an hour.
#   bash scripts/newest.sh [PYTHON]      python3.12 by default: the newest that dfjax supports
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python="${1:-python3.12}" folder=.newest
"$python" -m venv --clear "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade pip packaging "setuptools<81"
"$folder/bin/python" scripts/newest.py unbounded > "$folder/names.txt"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade \
  --upgrade-strategy eager --no-binary face_recognition_models -r "$folder/names.txt"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --editable .
status=0
"$folder/bin/python" -m pytest -q -p no:cacheprovider -m "not long" --tb=line \
  tests/test_steps.py tests/test_checkpoint.py tests/data tests/faces tests/media tests/augment \
  tests/models/test_models.py tests/export tests/inference tests/buckets tests/serve/test_same_score.py | tee "$folder/suite.txt" || status=$?
"$folder/bin/python" scripts/newest.py write "$folder/suite.txt" > docs/newest.md
echo "docs/newest.md says what was found; the suite ended with status $status"
