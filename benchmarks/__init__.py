"""The benchmarks: each is one command, `make bench-<name>`."""
