"""Bytes to frames: the only package that decodes pictures and videos, all taken for hostile."""
