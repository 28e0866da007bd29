"""Frames to face crops: the only package that imports dlib."""
