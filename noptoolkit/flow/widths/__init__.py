"""Links as wide as they should be: bandwidths as variables beside the flows, with certificates."""
