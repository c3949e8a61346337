"""Vectors of the machine inside compiled code, and what is built from them."""
