"""One operation alone, by its kind: the method that is exact, or nearly, for it."""
