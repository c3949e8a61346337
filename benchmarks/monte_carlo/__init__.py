"""The workloads of bench_monte_carlo.py, one module for each family."""
