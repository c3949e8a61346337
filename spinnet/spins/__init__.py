"""Finite-N spin systems: models, exact sums, mean field, Monte Carlo, critical exponents."""
