"""What a duty officer and a reviewer look at."""
