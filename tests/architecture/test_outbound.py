"""Addresses that somebody else gave us are reached through tenex.lib.guarded_http and nothing else (R12).

Every module that can open a connection by itself is named here with what it connects to. A new one fails this
test: either its addresses come from the operator's settings, then add it, or use `guarded_http`.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = {
    "aiohttp", "ftplib", "http.client", "httpcore", "httpcore2", "httpx", "httpx2", "imaplib", "paramiko",
    "picows", "poplib", "pycurl", "requests", "smtplib", "socket", "telnetlib", "urllib.request", "urllib3",
    "websocket", "websockets", "xmlrpc.client", "caldav", "httplib2", "googleapiclient",
}  # fmt: skip
ALLOWED = {
    "tenex/lib/guarded_http.py": "the one client",
    # Addresses of the operator's settings.
    "voice/telephony/client.py": "Twilio",
    "voice/telephony/transport.py": "Twilio",
    "voice/realtime/openai.py": "OpenAI",
    "tenex/webhooks/services/notices.py": "no connection: the names of errors",
    "crm/services/meeting_mails.py": "no connection: the names of errors",
    "crm/calendars/google.py": "Google, through its own client",
    # Our own machine.
    "tenex/demo/client.py": "the demo's own server",
    "tenex/demo/run.py": "the demo's own carrier",
    "tenex/demo/system.py": "the demo's own server",
    "tenex/engines/process.py": "a free port",
    "tenex/engines/valkey.py": "the embedded engine",
    "tenex/mcp/proxy.py": "stdio: the address that whoever starts it names",
    "tenex/server/listener.py": "listens",
    "tenex/server/media_protocol.py": "serves",
    "tenex/server/serve.py": "listens",
    "voice/bridge/consumer.py": "options of a socket that was accepted",
    "voice/management/commands/rehearse.py": "the rehearsal's own servers",
    "voice/services/rehearsals.py": "the rehearsal's own carrier, and only on this machine",
}
REHEARSAL = "voice/rehearsal/"
"""Plays the outside world; refuses to run in production (tenex.settings)."""


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def _is_client(module: str) -> bool:
    return any(module == client or module.startswith(f"{client}.") for client in CLIENTS)


def _importers() -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for top in ("tenex", "crm", "voice")
        for path in (ROOT / top).rglob("*.py")
        if any(map(_is_client, _imports(path)))
    }


def test_nobody_else_opens_connections() -> None:
    found = {name for name in _importers() if not name.startswith(REHEARSAL)}
    assert found - set(ALLOWED) == set()


def test_nobody_is_named_in_vain() -> None:
    assert set(ALLOWED) - _importers() == set()


def test_the_guarded_client_is_the_only_one_that_is_given_urls_of_integrators() -> None:
    """What holds such an address (webhooks) imports no client of its own."""
    for path in (ROOT / "tenex" / "webhooks").rglob("*.py"):
        clients = {one for one in _imports(path) if _is_client(one)} - {"smtplib", "smtplib.SMTPException"}
        assert clients == set(), path
