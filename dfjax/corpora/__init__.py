"""Corpora: one file per kind of corpus; a folder and its label files become a list of `Clip`."""
