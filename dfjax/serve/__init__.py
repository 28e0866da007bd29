"""The HTTP server: files to reports, face crops to scores by two protocols, and a page.

The only package that imports FastAPI. Uploaded media is hostile: `tasks` decodes it in a sandbox,
and nothing here unpickles or opens an address from a request.
"""
