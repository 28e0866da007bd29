"""From frames to face crops. The only package that imports dlib."""
