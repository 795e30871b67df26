#!/bin/bash
# Trains on several machines under SLURM:  sbatch --nodes 2 configs/strategy/slurm.sh --config configs/stanford_cars.yaml ...
# Two minutes before the time is up the run saves and stops; the job then queues itself again and goes on.
# The run is named after the job, so that each job goes on with its own; --name gives it another name.
#SBATCH --job-name=carspotter
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=08:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -u

export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-8}" # which srun has not taken from the job since SLURM 22.05
srun python train.py fit --config configs/strategy/ddp.yaml --name "job-$SLURM_JOB_ID" \
    --trainer.num_nodes "$SLURM_NNODES" --trainer.devices "$SLURM_NTASKS_PER_NODE" "$@" --ckpt_path last
code=$?
# 143: stopped by SIGTERM, after saving. Above 128: a process was killed, as where memory is short; the job tries again
# a few times. Where a node is lost, SLURM itself queues the job again.
if [ "$code" -eq 143 ] || { [ "$code" -gt 128 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 5 ]; }; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
