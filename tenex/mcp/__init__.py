"""The Model Context Protocol at `/mcp` and over stdio: a door beside REST, on the same services.

The official SDK takes most of a second to import, so only `server`, `stdio` and `proxy` import it, and they
are imported late, where there is need of them.
"""
