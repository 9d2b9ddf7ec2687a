"""What codes are doing: moments, the aggregate, its distance from the prior."""
