"""The rows of docs/real_faces.md (scripts/real_faces.py): what is trained, and what came out."""
