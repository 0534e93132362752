"""The promises as commands: `python -m prove A1` prints one JSON line and exits 1 if the promise was broken.

Quick by default; `FULL=1` runs the full counts. DATABASE_URL and REDIS_URL name the engines; every command
makes a database of its own beside the one named and drops it.
"""
