"""Statistics of heavy tails: power laws and rank-frequency laws on any array."""
