"""What a duty officer and a reviewer look at: report, map page, figure."""
