"""From media to a verdict with reasons, by a checkpoint or by any export of it."""
