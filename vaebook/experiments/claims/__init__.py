"""The claims on trial: a file for each, with its text, its rule, its limits and its judge."""
