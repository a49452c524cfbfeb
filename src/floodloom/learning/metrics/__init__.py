"""Scores of training and evaluation."""
