"""What pictures are worth: one function, :func:`measure_samples`, and the measures behind it."""
