"""What a dataset is to a base model: preview, token statistics, likeness, row report."""
