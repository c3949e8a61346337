#!/bin/bash
# A Monte Carlo run with one array job for each temperature, all in one directory.
# Submit again after a time-out: each temperature goes on from its last checkpoint.
#   sbatch examples/slurm/run_array.sh job.toml    # here, of 12 temperatures
#   spinnet status job
#SBATCH --job-name=spinnet-run
#SBATCH --array=0-11
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --signal=TERM@60
#SBATCH --time=04:00:00

set -euo pipefail
source .venv/bin/activate
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
exec spinnet run "$1" --task "$SLURM_ARRAY_TASK_ID"
