"""A calendar on a real CalDAV server."""
