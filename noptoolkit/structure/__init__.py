"""Properties of the graph alone: degrees, distances, bisection bandwidth, spectra."""
