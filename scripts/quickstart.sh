#!/usr/bin/env bash
# From a fresh clone to a trained and evaluated detector, on the embedded synthetic corpus.
set -euo pipefail
stage() { printf '\n== %s (%d s since the start)\n' "$1" "$SECONDS"; }

stage "environment"
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
stage "draw the synthetic corpus and cut out its faces"
dfjax prepare --corpus synthetic --out data/synthetic --frames 10 --size 128
stage "train and evaluate"
python -m dfjax.main --config configs/resnet.py --workdir runs/resnet
stage "done"
