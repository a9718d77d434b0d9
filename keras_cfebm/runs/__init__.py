"""A training run in a folder: train, resume, report."""
