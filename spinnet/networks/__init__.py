"""Real networks: data, weights, recording, and the four classes of observables."""
