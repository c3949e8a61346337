"""Symbolic statements of the theory, in SymPy; numerical wings compile them."""
