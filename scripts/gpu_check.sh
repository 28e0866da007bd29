#!/usr/bin/env bash
# What has to be seen on a machine with an NVIDIA GPU, in about ten minutes: a training, its evaluation, the
# same scores from its StableHLO on the GPU, how long the loader is waited for, and the rate of a train step
# against torch.compile. Needs the environment of scripts/environment.sh with `jax[cuda13]`, and PyTorch with
# timm for the last part, which is left out without them.
#   bash scripts/gpu_check.sh | tee gpu.txt
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
stage() { printf '\n== %s (%d s since the start)\n' "$1" "$SECONDS"; }

data=data/gpu-check run=runs/gpu-check export=runs/gpu-check-export
stage "the machine"
python - <<'EOF'
import jax

devices = jax.devices()
assert devices[0].platform == "gpu", f"JAX computes on {devices[0].device_kind}"
print(f"{len(devices)} x {devices[0].device_kind}, jax {jax.__version__}")
EOF
python -m dfjax.cli doctor
stage "data, training and evaluation"
python -m dfjax.cli prepare --corpus synthetic --identities 24 --out "$data" --size 224
python -m dfjax.cli train --config configs/efficientnet.py --workdir "$run" --config.data.dir="$data" \
  --config.data.image_size=224 --config.batch_size=64 --config.num_steps=200 --config.log_every=20 \
  --config.evals.val.every=200 --config.checkpoint_every=200 --config.optimizer.warmup_steps=20
stage "how long the loader is waited for, and what a step uses"
tail -n 4 "$run/metrics.jsonl" | tr ',' '\n' | grep perf/ | sort | uniq -c
stage "an export, and the scores of its StableHLO on this GPU against those of the checkpoint"
python -m dfjax.cli export --model "$run" --formats stablehlo --out "$export"
python -m dfjax.cli evaluate --model "$export" --runtime stablehlo --data "$data:test" --out "$run/stablehlo"
python - "$run" <<'EOF'
import pathlib
import sys

import numpy as np

from dfjax.evaluators import score_table

run = pathlib.Path(sys.argv[1])
(ours,), (theirs,) = (sorted((run / name).glob("*/scores.csv")) for name in ("eval", "stablehlo"))
one, other = (score_table.read(path).logit for path in (ours, theirs))
worst = float(np.abs(one - other).max())
print(f"{len(one)} faces, the largest difference of a logit is {worst:.2g}")
sys.exit(worst > 1e-3)
EOF
stage "a train step in bfloat16 against torch.compile, channels last"
if python -c "import timm, torch; assert torch.cuda.is_available()" 2> /dev/null; then
  python -m benchmarks.gpu
else
  echo "not run: no PyTorch with CUDA, or no timm"
fi
stage "done"
