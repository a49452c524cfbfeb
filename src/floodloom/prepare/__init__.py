"""A run of one's own files: what they are is found out, checked, and written as a configuration."""
