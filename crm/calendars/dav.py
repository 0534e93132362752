"""The XML of WebDAV and CalDAV (RFC 4918, RFC 4791): questions, and what their answers say. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from lxml import etree

from crm.calendars.availability import Period

DAV: Final = "DAV:"
CAL: Final = "urn:ietf:params:xml:ns:caldav"
_NAMES: Final = {"d": DAV, "c": CAL}
_WRITES: Final = frozenset({"all", "write", "write-content", "bind"})
_HEAD: Final = b'<?xml version="1.0" encoding="utf-8"?>\n'

ABOUT: Final = (
    _HEAD + b'<d:propfind xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><d:prop>'
    b"<d:current-user-principal/><d:resourcetype/><d:displayname/><c:calendar-home-set/>"
    b"<c:supported-calendar-component-set/><d:current-user-privilege-set/>"
    b"</d:prop></d:propfind>"
)


class NotDav(ValueError):
    """The answer is no multistatus."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One `response` of a multistatus, with the properties that it has."""

    href: str
    props: dict[str, Any] = field(default_factory=dict)
    """Elements by local name."""

    def text(self, name: str) -> str:
        found = self.props.get(name)
        return (found.text or "").strip() if found is not None else ""

    def hrefs(self, name: str) -> list[str]:
        found = self.props.get(name)
        return [] if found is None else [one.text or "" for one in found.iterfind("d:href", _NAMES)]

    @property
    def is_calendar(self) -> bool:
        """A calendar that events are kept in: not one of tasks, where the server tells."""
        kind = self.props.get("resourcetype")
        if kind is None or kind.find("c:calendar", _NAMES) is None:
            return False
        holds = self.props.get("supported-calendar-component-set")
        names = [] if holds is None else [one.get("name") for one in holds.iterfind("c:comp", _NAMES)]
        return not names or "VEVENT" in names

    @property
    def is_writable(self) -> bool:
        """As far as the server tells."""
        held = self.props.get("current-user-privilege-set")
        if held is None:
            return True
        return any(
            etree.QName(one).localname in _WRITES
            for privilege in held.iterfind("d:privilege", _NAMES)
            for one in privilege
            if isinstance(one.tag, str)
        )


def resources(body: bytes) -> list[Resource]:
    """What a multistatus tells.

    Raises:
        NotDav.
    """
    # No entities, no document types, nothing from elsewhere: the text is a stranger's.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise NotDav("not XML") from exc
    if root.tag != f"{{{DAV}}}multistatus":
        raise NotDav("not a multistatus")
    return list(_responses(root))


def _responses(root: Any) -> Iterator[Resource]:
    for one in root.iterfind("d:response", _NAMES):
        href = one.findtext("d:href", "", _NAMES).strip()
        props: dict[str, Any] = {}
        for state in one.iterfind("d:propstat", _NAMES):
            if " 200 " not in f" {state.findtext('d:status', '', _NAMES)} ":
                continue
            for prop in state.iterfind("d:prop/*", _NAMES):
                if isinstance(prop.tag, str):
                    props[etree.QName(prop).localname] = prop
        yield Resource(href, props)


def events_between(window: Period) -> bytes:
    """REPORT: every event that touches `window`, whole."""
    span = f'<c:time-range start="{_stamp(window.starts_at)}" end="{_stamp(window.ends_at)}"/>'
    return _query(span)


def events_of(uid: str) -> bytes:
    """REPORT: the event of a uid, which is one of ours and has no odd characters."""
    match = f'<c:text-match collation="i;octet">{uid}</c:text-match>'
    return _query(f'<c:prop-filter name="UID">{match}</c:prop-filter>')


def _query(filter_: str) -> bytes:
    return _HEAD + (
        '<c:calendar-query xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">'
        "<d:prop><d:getetag/><c:calendar-data/></d:prop>"
        '<c:filter><c:comp-filter name="VCALENDAR"><c:comp-filter name="VEVENT">'
        f"{filter_}</c:comp-filter></c:comp-filter></c:filter></c:calendar-query>"
    ).encode("ascii")


def _stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
