"""Companies: made when first named."""

from crm.models import Company
from tenex.errors import InvalidInput
from tenex.lib import storable
from tenex.workspaces.models import Workspace


def ensure(workspace: Workspace, name: str, *, domain: str = "") -> Company:
    """The company of that name (letter case does not matter), made if there is none.

    Raises:
        InvalidInput: an empty name.
    """
    cleaned = storable.text(name).strip()[:200]
    if not cleaned:
        raise InvalidInput("a company needs a name", loc=("body", "name"), type_="missing")
    known = Company.objects.filter(workspace=workspace, name__iexact=cleaned).order_by("created_at").first()
    if known:
        return known
    company, _ = Company.objects.get_or_create(
        workspace=workspace, name=cleaned, defaults={"domain": domain[:200].lower()}
    )
    return company
