"""The HTTP server: files to reports, face crops to scores by two protocols, and a page."""
