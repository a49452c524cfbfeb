"""What the adapters of the data sets share."""
