"""Seeded mutants of media files, through `dfjax predict` and a server: `scripts/fuzz_media.py`."""
