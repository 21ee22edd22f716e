#!/usr/bin/env bash
# Train with several processes, one per GPU; takes the options of tools/train.py. On several machines, run on each:
# NNODES=2 NODE_RANK=0 MASTER_ADDR=HOST PORT=29500 tools/dist_train.sh ...
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: tools/dist_train.sh CONFIG NUM_PROCESSES [options]" >&2
  exit 2
fi
config=$1 processes=$2
shift 2
rendezvous=(--standalone)
if [ "${NNODES:-1}" -gt 1 ]; then
  rendezvous=(--nnodes "$NNODES" --node-rank "$NODE_RANK" --master-addr "$MASTER_ADDR" --master-port "${PORT:-29500}")
fi
python=${PYTHON:-python}
"$python" -c 'import yapf'  # fills its cache: processes that fill it at once may fail (yapf issue 1204)
exec "$python" -m torch.distributed.run "${rendezvous[@]}" --nproc-per-node "$processes" \
  "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@"
