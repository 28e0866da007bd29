"""Data: the prepared corpus, its loading and augmentation, and the embedded corpus."""
