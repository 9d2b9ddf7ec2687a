"""Timings of the package's training loop against two that are in wide use."""
