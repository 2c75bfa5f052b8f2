"""Fixed routings: one forwarding graph per destination, and the loads that traffic pushes through it."""
