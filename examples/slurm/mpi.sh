#!/bin/bash
# A sweep on MPI, where nothing else is allowed: rank 0 hands out the rows, the others work.
# MPI ends as a whole when a rank dies; submit again, and the finished rows stay.
# Needs `pip install 'spinnet[mpi]'` on the MPI library of the cluster.
# From the root of the repository:  sbatch examples/slurm/mpi.sh
#SBATCH --job-name=spinnet-mpi
#SBATCH --ntasks=33
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00

set -euo pipefail
source .venv/bin/activate
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
srun python -m mpi4py.futures examples/sweep_on_a_cluster.py --executor mpi
