#!/bin/bash
# A sweep on the processors of one node.  Submit again after a time-out: finished rows stay.
# From the root of the repository:  sbatch examples/slurm/processes.sh
#SBATCH --job-name=spinnet-processes
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=32
#SBATCH --time=04:00:00

set -euo pipefail
source .venv/bin/activate
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" python examples/sweep_on_a_cluster.py --executor processes
