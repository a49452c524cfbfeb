"""Training, distillation and relabelling."""
