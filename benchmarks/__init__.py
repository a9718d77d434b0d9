"""Benchmarks of keras_cfebm, see docs/development.md."""
