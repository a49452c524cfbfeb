"""Published flood data sets as scenes and tiles."""
