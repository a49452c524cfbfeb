"""What the rules ask: which files, which settings, digests; and how a run holds its results."""
