"""Tests on a cluster of its own are run by `make test-cluster` alone: they take minutes."""

import os

collect_ignore_glob = [] if os.environ.get("FLOODLOOM_CLUSTER") else ["test_*.py"]
