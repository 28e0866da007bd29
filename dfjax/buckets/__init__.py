"""Prepared data and workdirs in object stores (`gs://...`, `s3://...`), through local copies.

Everything else of dfjax sees folders of this machine: `data` fills one while training reads it,
`workdir` keeps the store's copy of one as it is here. What is whole there lists its own files
(`checksums.json`), which is written last, and nothing counts before that.
"""
