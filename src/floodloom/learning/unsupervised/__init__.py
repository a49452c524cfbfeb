"""Learning without labels: clusters of one scene, contrasts of dark regions, pretraining."""
