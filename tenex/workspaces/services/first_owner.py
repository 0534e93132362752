"""The first person of an installation: made through a link that only the operator of the machine sees.

The link is signed, holds for a day, and is worth nothing as soon as there is anybody.
"""

from typing import Final

from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection, transaction
from django.utils.text import slugify

from tenex.errors import Gone, InvalidInput
from tenex.workspaces.models import Membership, Role, User, Workspace
from tenex.workspaces.services import people, workspaces

_SALT: Final = "tenex.first-owner"
_MAX_AGE_S: Final = 24 * 3600
_LOCK: Final = int.from_bytes(b"tenexown", "big") & 0x7FFF_FFFF_FFFF_FFFF


def nobody_yet() -> bool:
    """Whether nobody can sign in."""
    return not User.objects.exists()


def link() -> str:
    """Where the first owner is made: for the terminal of who runs the system, never for a page."""
    return f"{settings.PUBLIC_BASE_URL}/console/setup?token={signing.dumps('owner', salt=_SALT)}"


def check(token: str) -> None:
    """
    Raises:
        Gone: not a token of ours, too old, or there is somebody already.
    """
    try:
        signing.loads(token, salt=_SALT, max_age=_MAX_AGE_S)
    except signing.BadSignature as exc:
        raise Gone("This link does not hold (any more). `manage.py first_owner` prints another one.") from exc
    if not nobody_yet():
        raise Gone("The first owner has been made. Sign in, or ask them to invite you.")


def create(token: str, *, company: str, name: str, email: str, password: str, time_zone: str) -> Membership:
    """The first person, who runs the installation, and their workspace.

    Raises:
        Gone: as :func:`check`; of two who come at the same time one is first.
        InvalidInput: no company, no e-mail address, or a weak password.
    """
    company, email = " ".join(company.split()), email.strip().lower()
    if not company or len(company) > 200:
        raise InvalidInput("say what it is called", loc=("body", "company"))
    try:
        validate_email(email)
    except ValidationError as exc:
        raise InvalidInput("is not an e-mail address", loc=("body", "email")) from exc
    people.check_password(password, User(email=email, name=name), loc=("body", "password"))
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        check(token)
        user = User.objects.create_superuser(email, password, name=name.strip()[:200])
        slug = slugify(company)[:80] or "workspace"
        workspace = Workspace.objects.filter(slug=slug).first() or workspaces.create(
            {"name": company, "slug": slug, "time_zone": time_zone}, f"user:{email}"
        )
        return Membership.objects.create(user=user, workspace=workspace, role=Role.OWNER)
