#!/usr/bin/env bash
# Trains on all chips of a Cloud TPU VM. From this repository, on the VM:
#
#   bash launch/tpu_vm.sh --config=configs/base.py --config.data.root=/data/musdb18hq --workdir=/data/runs/base
#
# Run it again after an interruption: it goes on from the newest checkpoint.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -x .venv-tpu/bin/python ]; then
  python3 -m venv .venv-tpu
  .venv-tpu/bin/pip install --quiet --constraint constraints.txt --editable '.[tpu]'
fi
exec .venv-tpu/bin/python -m diffvs_jax.train "$@"
