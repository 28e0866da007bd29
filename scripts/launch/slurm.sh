#!/usr/bin/env bash
# Two nodes of four GPUs, a process for each GPU; JAX reads the rest from Slurm.
#   sbatch scripts/launch/slurm.sh --config configs/efficientnet_b4_sbi.py --workdir /shared/runs/b4
# The workdir and the data are on a file system that all nodes see. Two minutes before its time is up,
# and when it is preempted, each process gets SIGTERM: the run is saved, ends with status 75, and is put
# back into the queue.
#SBATCH --job-name=dfjax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -uo pipefail

srun --kill-on-bad-exit=1 dfjax train "$@"
status=$?
if [ "$status" -eq 75 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
