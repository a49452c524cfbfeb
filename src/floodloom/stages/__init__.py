"""One module per stage of the workflow: paths in, path out."""
