#!/usr/bin/env bash
# Stream the test videos with several processes, each video on one of them; takes the options of tools/test.py.
# On several machines, run on each: NNODES=2 NODE_RANK=0 MASTER_ADDR=HOST PORT=29500 tools/dist_test.sh ...
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "usage: tools/dist_test.sh CONFIG CHECKPOINT NUM_PROCESSES [options]" >&2
  exit 2
fi
config=$1 checkpoint=$2 processes=$3
shift 3
rendezvous=(--standalone)
if [ "${NNODES:-1}" -gt 1 ]; then
  rendezvous=(--nnodes "$NNODES" --node-rank "$NODE_RANK" --master-addr "$MASTER_ADDR" --master-port "${PORT:-29500}")
fi
python=${PYTHON:-python}
"$python" -c 'import yapf'  # fills its cache: processes that fill it at once may fail (yapf issue 1204)
exec "$python" -m torch.distributed.run "${rendezvous[@]}" --nproc-per-node "$processes" \
  "$(dirname "$0")/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
