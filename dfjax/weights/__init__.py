"""Weights of other libraries and of earlier runs, brought into the names of our networks."""
