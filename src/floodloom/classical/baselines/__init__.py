"""The baselines by name.

A baseline is a file of this package, whose name is the baseline's, which defines `BASELINE`, a
`floodloom.classical.baseline.Baseline`.
"""
