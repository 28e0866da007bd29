"""Clips to a prepared dataset: cropping on processes or by Beam, auditing, describing."""
