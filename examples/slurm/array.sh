#!/bin/bash
# A sweep as a job array: 16 independent jobs share one folder and need no engine at all.
# Afterwards, one call without --part collects the rows and draws the figure.
# From the root of the repository:  sbatch examples/slurm/array.sh
#   python examples/sweep_on_a_cluster.py
#SBATCH --job-name=spinnet-array
#SBATCH --array=0-15
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00

set -euo pipefail
source .venv/bin/activate
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
python examples/sweep_on_a_cluster.py --executor here \
  --part "$SLURM_ARRAY_TASK_ID" "$SLURM_ARRAY_TASK_COUNT"
