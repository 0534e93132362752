"""The phone network as a library: its REST API, its markup, its signatures, its words. No rows."""
