"""Bytes to frames: the only package that decodes pictures and videos. It trusts none of them."""
