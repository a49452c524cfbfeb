"""From probabilities to flood maps."""
