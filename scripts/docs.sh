#!/usr/bin/env bash
# Builds the site of docs/ into docs/_build: open docs/_build/index.html. Every warning is an error.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
if ! python -c "import furo, myst_parser, sphinx_copybutton" 2>/dev/null; then
  install_packages --no-build-isolation -e ".[docs]"
fi
# The source is the repository: links mean the same here and on GitHub (docs/conf.py).
python -m sphinx -W --keep-going -n -q -c docs . docs/_build
echo "docs/_build/index.html"
