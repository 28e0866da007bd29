"""Mixed traffic, attacks and kills against a real server: `scripts/load_server.py soak`.

Seen from outside only: HTTP, signals and /proc (Linux).
"""
