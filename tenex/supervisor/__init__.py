"""The whole system under one command: what `manage.py up` (and `make run`) starts, watches and ends."""
