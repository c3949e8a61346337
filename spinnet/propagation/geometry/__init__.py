"""Curves, decision boundaries and expressivity: the geometry of random deep networks."""
