"""What networks see: samples, tiles on disk, splits, draws, augmentation."""
