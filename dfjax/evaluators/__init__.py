"""Evaluators: what is measured of a model on a prepared dataset."""
