"""From a teacher that sees optical images to a radar student."""
