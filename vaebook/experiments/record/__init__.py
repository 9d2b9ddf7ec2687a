"""A record: made by a run over seeds, kept with its provenance, read, and summarised."""
