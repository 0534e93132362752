"""Promises as commands: each module here is one, named after it (`a1_….py`), and prints one JSON line.

    python -m tests.prove.a1_dialed_once [--full]     one promise
    python -m tests.prove [NAME ...] [--full]         all of them, or those named, one after the other

The line is `{"promise": "A1", "trials": n, "violations": 0, ...}`; a module ends with status 0 only without
violations.
"""
