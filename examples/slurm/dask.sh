#!/bin/bash
# A sweep on dask.distributed over several nodes: a scheduler, workers, and the script in one job.
# A worker that dies is replaced by the others; needs `pip install 'spinnet[dask]'`.
# From the root of the repository:  sbatch examples/slurm/dask.sh
#SBATCH --job-name=spinnet-dask
#SBATCH --ntasks=34
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00

set -euo pipefail
source .venv/bin/activate
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
file="$PWD/dask-scheduler-$SLURM_JOB_ID.json"

srun --overlap --ntasks=1 dask scheduler --scheduler-file "$file" &
scheduler=$!
until [ -s "$file" ]; do
  kill -0 "$scheduler" 2>/dev/null || { echo 'the dask scheduler did not start' >&2; exit 1; }
  sleep 1
done
srun --overlap --ntasks=32 dask worker --scheduler-file "$file" --nthreads 1 --no-dashboard &
srun --overlap --ntasks=1 python examples/sweep_on_a_cluster.py \
  --executor dask --scheduler-file "$file"
