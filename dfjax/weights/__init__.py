"""Weights of other libraries and of earlier runs become variables of our networks."""
