"""The machinery of sweeps: which cells there are, and the three ways to compute them."""
