#!/usr/bin/env bash
# Trains on all chips of a Cloud TPU VM, or of a pod slice. From this repository, on the VM:
#
#   bash launch/tpu_vm.sh --config=configs/base.py --config.data.root=/data/musdb18hq --workdir=/data/runs/base
#
# From your own machine, on all workers of a slice or on a single VM (what is committed here is copied there):
#
#   bash launch/tpu_vm.sh --tpu=NAME --zone=ZONE --config=configs/base.py --config.data.root=... --workdir=...
#
# All workers must see the same data and workdir: Filestore or another NFS. DRY_RUN=1 prints the commands and runs
# nothing. Run it again after an interruption: it goes on from the newest checkpoint.
set -euo pipefail
cd "$(dirname "$0")/.."

run() {
  if [ -n "${DRY_RUN:-}" ]; then
    printf '%q ' "$@"
    printf '\n'
  else
    "$@"
  fi
}

tpu="" zone="" flags=()
for argument in "$@"; do
  case $argument in
    --tpu=*) tpu=${argument#--tpu=} ;;
    --zone=*) zone=${argument#--zone=} ;;
    *) flags+=("$argument") ;;
  esac
done

if [ -n "$tpu" ]; then
  archive=$(mktemp)
  trap 'rm -f "$archive"' EXIT
  run git archive --format=tar.gz --output="$archive" HEAD
  where=("--zone=${zone:?give --zone=ZONE beside --tpu=$tpu}" --worker=all)
  run gcloud compute tpus tpu-vm scp "$archive" "$tpu:diffvs_jax.tar.gz" "${where[@]}"
  command="mkdir -p diffvs_jax && tar -xzf diffvs_jax.tar.gz -C diffvs_jax && bash diffvs_jax/launch/tpu_vm.sh"
  run gcloud compute tpus tpu-vm ssh "$tpu" "${where[@]}" --command="$command${flags[*]:+$(printf ' %q' "${flags[@]}")}"
  exit
fi

if [ ! -x .venv-tpu/bin/python ]; then
  run python3 -m venv .venv-tpu
  run .venv-tpu/bin/pip install --quiet --constraint constraints.txt --editable '.[tpu]'
fi
run exec .venv-tpu/bin/python -m diffvs_jax.train ${flags[@]+"${flags[@]}"}
