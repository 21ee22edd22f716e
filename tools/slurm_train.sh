#!/usr/bin/env bash
# Train on a Slurm cluster: one torchrun per node, one process per GPU; takes the options of tools/train.py.
# NODES=2 GPUS_PER_NODE=8 CPUS_PER_TASK=64 SRUN_ARGS="--time=1-0" tools/slurm_train.sh PARTITION JOB_NAME CONFIG
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options]" >&2
  exit 2
fi
partition=$1 job=$2 config=$3
shift 3
export NNODES=${NODES:-1}
# Only inside the job do we know the first node and the rank of this node.
# shellcheck disable=SC2016,SC2086
exec srun --partition "$partition" --job-name "$job" --nodes "$NNODES" --ntasks-per-node 1 \
  --cpus-per-task "${CPUS_PER_TASK:-16}" --gres "gpu:${GPUS_PER_NODE:-8}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
  bash -c 'export NODE_RANK=$SLURM_NODEID MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
           exec "$@"' bash "$(dirname "$0")/dist_train.sh" "$config" "${GPUS_PER_NODE:-8}" "$@"
