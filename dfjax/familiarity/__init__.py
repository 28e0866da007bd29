"""Whether a crop is like the training data: what lets a verdict say "unlike what I know"."""
