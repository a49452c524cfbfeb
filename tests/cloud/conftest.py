"""Tests on an object store and in a read-only root are run by their targets of make alone."""

import os

collect_ignore_glob = [] if os.environ.get("FLOODLOOM_CLOUD") else ["test_s3.py", "test_root.py"]
