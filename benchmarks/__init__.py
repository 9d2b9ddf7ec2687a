"""Timings of the package's training loop beside others, and of what an example costs."""
