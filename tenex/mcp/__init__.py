"""The Model Context Protocol at `/mcp` and over stdio: a door beside REST, on the same services.

The official SDK takes most of a second to import, so nothing here imports it before the first request needs it:
only `server`, `stdio` and `proxy` do, and they are imported late.
"""
