#!/bin/bash
# Submits so many jobs of which one runs at a time, each going on where the one before was stopped:
#   docs/clusters/chain.sh 5 --methods all --dataset oulu-casia --workspace /shared/runs
set -eu

links=${1:?how many jobs, then the options of nferbench run}
shift
here=$(cd "$(dirname "$0")" && pwd)
for ((link = 0; link < links; link++)); do
    sbatch "$here/chain.sbatch" "$@"
done
