#!/usr/bin/env bash
# What has to be seen on a machine with an NVIDIA GPU, in about ten minutes: a training and its evaluation, how
# long its loader is waited for, the rate of a train step against torch.compile, what augmentation takes of it,
# the same scores from the StableHLO on the GPU and from the checkpoint on the CPU, and what is said where the
# memory does not suffice. Needs the environment of scripts/environment.sh with `jax[cuda13]`, and PyTorch with
# timm for the comparison, which is left out without them.
#   bash scripts/gpu_check.sh | tee gpu.txt
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
stage() { printf '\n== %s (%d s since the start)\n' "$1" "$SECONDS"; }

data=data/gpu-check run=runs/gpu-check export=runs/gpu-check-export
train=(python -m dfjax.cli train --config configs/efficientnet_lite.py --config.data.dir="$data"
  --config.data.num_workers="$(($(nproc) * 3 / 4))")
stage "the machine"
python - <<'EOF'
import jax

devices = jax.devices()
assert devices[0].platform == "gpu", f"JAX computes on {devices[0].device_kind}"
print(f"{len(devices)} x {devices[0].device_kind}, jax {jax.__version__}")
EOF
python -m dfjax.cli doctor || echo "going on: what is missing may not be needed here"
stage "data, training and evaluation"
python -m dfjax.cli prepare --corpus synthetic --identities 24 --out "$data" --size 160 --scale 0.85 \
  --center 0.6 --boxes-from-original
"${train[@]}" --workdir "$run" --config.batch_size=128 --config.num_steps=400 --config.log_every=50 \
  --config.evals.val.every=400 --config.checkpoint_every=400
stage "how long the loader is waited for, and what a step uses: the last steps of that training"
python - "$run/metrics.jsonl" <<'EOF'
import json
import pathlib
import sys

lines = map(json.loads, pathlib.Path(sys.argv[1]).read_text().splitlines())
last = [line for line in lines if "perf/images_per_second" in line][-1]
for name, value in last.items():
    if name.startswith("perf/"):
        print(f"{name} {value:.4g}")
EOF
stage "a train step in bfloat16 against torch.compile, channels last"
if python -c "import timm, torch; assert torch.cuda.is_available()" 2> /dev/null; then
  python -m benchmarks.gpu
else
  echo "not run: no PyTorch with CUDA, or no timm"
fi
stage "what augmentation takes of a step"
python -m benchmarks.augment efficientnet_lite0@112x128

differ() { # the logits of two evaluations, by their folders: they are computed in full float32 everywhere
  python - "$@" <<'EOF'
import pathlib
import sys

import numpy as np

from dfjax.evaluators import score_table

(ours,), (theirs,) = (sorted(pathlib.Path(name).glob("*/scores.csv")) for name in sys.argv[1:])
one, other = (score_table.read(path).logit for path in (ours, theirs))
worst = float(np.abs(one - other).max())
print(f"{len(one)} faces, the largest difference of a logit is {worst:.2g}")
sys.exit(worst > 1e-3)
EOF
}
stage "an export, and the scores of its StableHLO on this GPU against those of the checkpoint"
python -m dfjax.cli evaluate --model "$run" --data "$data:test" --out "$run/on-gpu"
python -m dfjax.cli export --model "$run" --formats stablehlo --out "$export"
python -m dfjax.cli evaluate --model "$export" --runtime stablehlo --data "$data:test" --out "$run/stablehlo"
differ "$run/on-gpu" "$run/stablehlo"
stage "the checkpoint on the CPU, against its scores on the GPU"
JAX_PLATFORMS=cpu python -m dfjax.cli evaluate --model "$run" --data "$data:test" --out "$run/on-cpu"
differ "$run/on-gpu" "$run/on-cpu"
stage "too little memory, and what is said"
if XLA_PYTHON_CLIENT_PREALLOCATE=true XLA_PYTHON_CLIENT_MEM_FRACTION=.03 "${train[@]}" --workdir "$run-memory" \
  --config.batch_size=2048 --config.num_steps=2 --config.optimizer.warmup_steps=0 > "$run/memory.txt" 2>&1; then
  echo "2048 images of a step fitted in a thirtieth of this GPU's memory"
  exit 1
fi
grep "out of memory" "$run/memory.txt"
stage "done"
