"""Lower bounds for any set of operations at once, from prices on channels; the symmetry they share."""
