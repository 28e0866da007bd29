#!/usr/bin/env bash
# All hosts of a Cloud TPU slice; JAX reads the rest from the machines' metadata.
#   TPU=my-slice ZONE=us-central2-b bash scripts/launch/tpu_vm.sh --config configs/efficientnet_b4_sbi.py \
#     --workdir /runs/b4 --config.data.dir=gs://my-bucket/data/faces
# /runs is a file system that all of them mount.
# dfjax and its extra "tpu" are installed on each host, for example by
#   gcloud compute tpus tpu-vm ssh "$TPU" --zone "$ZONE" --worker=all --command "pip install 'dfjax[tpu]'"
set -euo pipefail

printf -v command '%q ' dfjax train "$@"
exec gcloud compute tpus tpu-vm ssh "${TPU:?name of the slice}" --zone "${ZONE:?its zone}" \
  --worker=all --command "$command"
