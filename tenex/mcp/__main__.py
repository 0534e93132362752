"""`python -m tenex.mcp`: MCP over stdin and stdout, for clients that start their servers as programs.

With TENEX_MCP_URL (or `--url`) it passes messages on to a running system's `/mcp`, without it it works on the
configured database. TENEX_API_KEY holds the key. stdout belongs to the protocol: all else goes to stderr.
"""

import argparse
import asyncio
import os
import sys

from tenex import env


def main() -> int:
    """Returns 2 if it cannot begin, else 0 when the client has closed its side."""
    parser = argparse.ArgumentParser(prog="python -m tenex.mcp", description="MCP over stdin and stdout.")
    parser.add_argument("--url", default=env.base_url("TENEX_MCP_URL"), help="a running system's /mcp")
    url = parser.parse_args().url
    credential = env.text("TENEX_API_KEY")
    if not credential:
        print("tenex.mcp: set TENEX_API_KEY to an API key", file=sys.stderr)
        return 2
    if url:
        from tenex.mcp import proxy

        return asyncio.run(proxy.serve(url, credential))
    _set_up()
    from tenex.mcp import stdio

    return asyncio.run(stdio.serve(credential))


def _set_up() -> None:
    """Django, on the configured database or on the embedded one of the data folder."""
    from tenex.engines import EngineError
    from tenex.engines.bootstrap import ensure_environment, fail

    try:
        ensure_environment()
    except EngineError as error:
        fail(str(error))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
    import django

    django.setup()


if __name__ == "__main__":
    sys.exit(main())
