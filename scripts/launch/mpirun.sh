#!/usr/bin/env bash
# Four processes by Open MPI, on the hosts that mpirun is told of.
#   bash scripts/launch/mpirun.sh --hostfile hosts -- --config configs/efficientnet_b4_sbi.py --workdir /shared/runs/a
# What stands before "--" goes to mpirun, the rest to dfjax train. mpirun of Open MPI 4 tells JAX all that it
# needs; later ones do not say where process 0 is, so this script does: set COORDINATOR=host:port of the
# first host where that is not this one.
set -euo pipefail

before=()
while [ $# -gt 0 ] && [ "$1" != "--" ]; do
  before+=("$1")
  shift
done
shift || true
export JAX_COORDINATOR_ADDRESS="${COORDINATOR:-$(hostname -f):12345}"
export DFJAX_NUM_PROCESSES="${NUM_PROCESSES:-4}"
exec mpirun -np "$DFJAX_NUM_PROCESSES" -x JAX_COORDINATOR_ADDRESS -x DFJAX_NUM_PROCESSES "${before[@]}" \
  bash -c 'DFJAX_PROCESS_ID=$OMPI_COMM_WORLD_RANK exec dfjax train "$@"' dfjax "$@"
