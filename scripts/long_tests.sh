#!/usr/bin/env bash
# What takes too long for every change, an hour and a half on two cores: the tests marked "long" (a series
# of killed runs, thousands of mutated requests), the notebooks, the report of a million scores, 2,000 mutated
# pictures and videos, a server under twice its load for ten minutes, and half an hour of mixed and
# hostile traffic. The report, the mutants and the traffic end with status 1 where a limit or a rule does
# not hold.
# Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/quickstart.sh --short
source scripts/environment.sh
python -m pytest -n 2 --dist worksteal -m long "$@"
python -c "import nbmake" 2>/dev/null || install_packages --no-build-isolation -e ".[notebooks]"
python -m pytest -o addopts= -o filterwarnings= --nbmake --nbmake-timeout=600 notebooks
python -m benchmarks.report
python scripts/fuzz_media.py run --model runs/quickstart-short --files 2000
python scripts/load_server.py load --model runs/quickstart-short --seconds 600
python scripts/load_server.py soak --model runs/quickstart-short --minutes 30
