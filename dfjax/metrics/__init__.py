"""What is measured of finished scores, in numpy: ranking, thresholds, calibration, intervals.

A label is 0 real, 1 fake; a score is P(fake), and high for fakes.
"""
