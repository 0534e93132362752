"""The admin and the last owner."""

from typing import Any

import pytest
from django.test import Client

from tenex.workspaces.models import Membership, Role, User
from tests.api.world import Tenant


@pytest.fixture
def browser(alice: Tenant) -> Client:
    User.objects.filter(pk=alice.owner.pk).update(is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(User.objects.get(pk=alice.owner.pk))
    return client


def form(browser: Client, page: str) -> dict[str, Any]:
    """What a browser would send back unchanged."""
    found: Any = browser.get(page)
    whole: dict[str, Any] = {}
    inlines = [one.formset for one in found.context["inline_admin_formsets"]]
    for one in (found.context["adminform"].form, *inlines):
        forms = [one] if not hasattr(one, "management_form") else [one.management_form, *one.forms]
        for part in forms:
            for name in part.fields:
                value = part[name].value()
                whole[part.add_prefix(name)] = "" if value is None else value
    return whole


def test_the_admin_says_that_the_last_owner_stays(alice: Tenant, browser: Client) -> None:
    page = f"/admin/workspaces/workspace/{alice.workspace.pk}/change/"
    sent = form(browser, page)
    refused: Any = browser.post(page, {**sent, "memberships-0-role": "viewer"})
    assert refused.status_code == 200
    assert "keeps its last owner" in refused.content.decode()
    assert Membership.objects.get(workspace=alice.workspace).role == Role.OWNER
    assert browser.post(page, sent).status_code == 302
