"""Robustness and visualization measurements for image classifiers, from the Neocognitron to EfficientNet.

The library is pure: it takes tensors and tables and returns tensors and tidy tables. Only the
``pipeline`` package knows params.yaml, DVC and the places of files.
"""
