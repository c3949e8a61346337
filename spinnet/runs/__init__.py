"""Work that survives: directories that resume, and sweeps over many workers."""
