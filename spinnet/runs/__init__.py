"""Work that survives: directories that resume, and sweeps over many workers."""

from spinnet.runs.sweeping import Sweep, SweepRow, sweep

__all__ = ["Sweep", "SweepRow", "sweep"]
