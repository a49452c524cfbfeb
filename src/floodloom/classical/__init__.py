"""Maps of water without learning: thresholds of histograms, drop-in models of `predict`."""
