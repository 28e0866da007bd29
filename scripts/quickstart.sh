#!/usr/bin/env bash
# From a fresh clone to a trained and evaluated detector, on the embedded synthetic corpus; then the
# detector that comes with dfjax judges a photograph.
# --short: the same commands on a few clips and for a few steps, to see that they run; the detector
# that comes out knows nothing.
set -euo pipefail
stage() { printf '\n== %s (%d s since the start)\n' "$1" "$SECONDS"; }

data=data/synthetic run=runs/resnet drawn=() trained=()
case "$*" in
  "") ;;
  --short)
    data=data/quickstart-short run=runs/quickstart-short
    drawn=(--identities 12)
    trained=(
      --config.num_steps=20 --config.optimizer.warmup_steps=2
      --config.log_every=10 --config.evals.val.every=20 --config.checkpoint_every=20
    )
    ;;
  *)
    echo "usage: $0 [--short]" >&2
    exit 2
    ;;
esac

stage "environment"
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
stage "draw the synthetic corpus and cut out its faces"
dfjax prepare --corpus synthetic --out "$data" --size 96 ${drawn[@]+"${drawn[@]}"}
stage "train and evaluate"
dfjax train --config configs/resnet.py --workdir "$run" --config.data.dir="$data" \
  ${trained[@]+"${trained[@]}"}
stage "done"
results="$run/eval/$(basename "$data")-test"
python - "$results/metrics.json" <<'EOF'
import json
import sys

with open(sys.argv[1]) as file:
    found = json.load(file)
for level, unit in (("video", "clips"), ("frame", "faces")):
    measured = found[level]
    print(
        f"{level} AUC {measured['auc']:.3f} on {measured['real']} real and {measured['fake']} fake "
        f"{unit} of people never seen (synthetic: says nothing about real faces)"
    )
EOF
echo "scores, metrics and curves: $results"
echo "the detector: $run (dfjax predict --model $run FILE)"
echo "the data: $data/dataset_card.html"
stage "judge a photograph by the detector that comes with dfjax"
dfjax predict docs/examples/london_001.jpg --out runs/example
