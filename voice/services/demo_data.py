"""The demo workspace: what a small sales team would have set up on its first day.

Running it again changes nothing that is there, but for where those live who are called: where it is day. A new
API key is minted each time.
"""

import datetime as dt
import secrets
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from crm.models import Calendar, ConsentPurpose, Lead
from crm.services import consents, knowledge, leads
from tenex.lib import daytime
from tenex.webhooks.models import WebhookSubscription
from tenex.webhooks.services import subscriptions
from tenex.workspaces.models import CallingRules, Membership, Role, User, Workspace
from tenex.workspaces.services import keys, workspaces
from voice.models import Agent, PhoneNumber, VoiceProfile
from voice.services import agents

NUMBER: Final = "+14155550100"
EMAIL: Final = "demo@example.com"

PROMPT: Final = """\
You are Ava, the phone assistant of Northwind Robotics, which builds picking robots for warehouses.
You qualify leads: you find out whether they have a real project that our robots can help with, and you book a
meeting with a specialist if they do. You are warm, brief and honest. You ask one thing at a time and listen.

{{lead.first_name}} {{lead.last_name}} of {{lead.company}} may be on the line; ask if you are not sure.

Look things up with search_knowledge before you talk about the product. If somebody is clearly not a fit, say so
kindly and end the call. If somebody asks not to be called again, note it at once, confirm it and say goodbye.
"""

CRITERIA: Final = [
    {"name": "budget", "description": "Has money set aside, or a range, for automation in the warehouse"},
    {"name": "authority", "description": "Decides on the purchase, or can name who does"},
    {"name": "need", "description": "Has a problem in picking or shipping that robots solve"},
    {"name": "timeline", "description": "Wants to go live within about a year"},
]

LEADS: Final[tuple[dict[str, Any], ...]] = (
    {
        "first_name": "Maria",
        "last_name": "Chen",
        "phone": "+14155550101",
        "email": "maria.chen@brightwell.example",
        "company_name": "Brightwell Logistics",
        "source": "trade fair",
        "notes": "Visited our booth and asked about integration with her warehouse system.",
    },
    {
        "first_name": "Daniel",
        "last_name": "Okafor",
        "phone": "0102",
        "company_name": "Harbor Parts Supply",
    },
    {"first_name": "Priya", "last_name": "Nair", "phone": "0103", "company_name": "Nair Home Goods"},
    {"first_name": "Tom", "last_name": "Becker", "phone": "0104", "company_name": "Becker Outdoor"},
    {"first_name": "Elena", "last_name": "Rossi", "phone": "+14155550105", "company_name": "Rossi Pharma"},
)

"""Of those who are called in the demo only the end of the number stands: see :func:`_at_home`."""

DOCUMENTS: Final = {
    "Product and integration": """\
# Robots
Northwind picking robots carry up to 18 kilograms and work beside people without fences. Pickers walk about 70 percent
less; typical sites raise picks per hour from 90 to 210.

# Warehouse management system integration
The robots connect to the common warehouse management systems through a standard interface: SAP EWM, Manhattan,
Blue Yonder and Microsoft Dynamics are supported, others through our REST interface. Integration takes two weeks.

# Installation time
Most sites are live within six weeks: two weeks of integration, two of mapping, two of training. No floor markings or
new Wi-Fi are needed.
""",
    "Pricing": """\
# Pricing
A fleet starts at five robots. Renting costs 2,400 dollars a month for each robot, service included, with a minimum of
twelve months. Buying costs 48,000 dollars a robot. A pilot of eight weeks with five robots costs 30,000 dollars, which
counts toward a purchase.

# Smallest site
Below about 1,000 square meters or 300 orders a day the robots do not pay off; we say so openly.
""",
    "Security and service": """\
# Data
Order data stays in the customer's network; only health data of the robots is sent to us, encrypted. ISO 27001 certified.

# Service
A technician is on site within one working day. Remote support answers around the clock.
""",
}


@dataclass(frozen=True, slots=True)
class Demo:
    workspace: Workspace
    user: User
    password: str
    """Empty if the user was there before."""
    api_key: str
    agent: Agent
    number: PhoneNumber
    subscription: WebhookSubscription | None
    phones: dict[str, str]
    """Last four digits -> number of the leads."""


def seed(*, webhook_url: str = "", password: str = "") -> Demo:
    """Make the demo workspace (or find it) and mint a key for it.

    Raises:
        InvalidInput: `webhook_url` is not one that we deliver to.
    """
    with transaction.atomic():
        workspace = _workspace()
        user, password = _user(workspace, password)
        calendar, _ = Calendar.objects.get_or_create(
            workspace=workspace,
            name="Specialists",
            defaults={
                "time_zone": workspace.time_zone,
                "is_default": True,
                "join_url": "https://meet.example/northwind",
            },
        )
        agent = _agent(workspace, calendar)
        number, _ = PhoneNumber.objects.get_or_create(
            e164=NUMBER, defaults={"workspace": workspace, "label": "Main line", "agent": agent}
        )
        people = [_lead(workspace, entry) for entry in LEADS]
        for title, body in DOCUMENTS.items():
            knowledge.put(workspace, title, body)
        subscription = None
        if webhook_url:
            subscription = WebhookSubscription.objects.filter(workspace=workspace, url=webhook_url).first()
            if subscription is None:
                subscription, _ = subscriptions.create(
                    workspace, url=webhook_url, description="Demo", actor="system:demo"
                )
        _, api_key = keys.create(workspace, "Demo", ["*"], "system:demo")
    phones = {phone[-4:]: phone for person in people if (phone := person.phone)}
    return Demo(workspace, user, password, api_key, agent, number, subscription, phones)


def _lead(workspace: Workspace, entry: dict[str, Any]) -> Lead:
    """The lead, who lives where it is day if we are to call them, and has agreed to be called."""
    known = [place.number(entry["phone"][-4:]) for place in daytime.PLACES]
    lead = Lead.objects.filter(workspace=workspace, phone__in=known, archived_at=None).first()
    home = _at_home(entry["phone"])
    if lead is None:
        lead = leads.create(workspace, actor="system:demo", **{**entry, **home})
        consents.add(
            workspace,
            lead.pk,
            purpose=ConsentPurpose.MARKETING,
            source="demo",
            proof="I agree that Northwind Robotics may call me with an automated voice about its robots.",
            given_at=timezone.now(),
            actor="system:demo",
        )
    elif len(entry["phone"]) == 4:
        lead = leads.update(workspace, lead.pk, actor="system:demo", **home)
    return lead


def _at_home(phone: str) -> dict[str, Any]:
    """Number, zone and country. The demo runs at any hour, and the calling hours hold in it as they do elsewhere:
    so those whom it calls live where it is day now. Those who call us stay in California."""
    place = daytime.place(timezone.now()) if len(phone) == 4 else daytime.CALIFORNIA
    return {"phone": place.number(phone[-4:]), "time_zone": place.zone, "country": place.country}


def _workspace() -> Workspace:
    workspace, made = Workspace.objects.get_or_create(
        slug="demo",
        defaults={
            "name": "Northwind Robotics",
            "time_zone": "America/Los_Angeles",
            # Whatever the hour, on Sundays too: the hours of the law alone, see _at_home.
            "calling_window_start": dt.time(0, 0),
            "calling_window_end": dt.time(23, 59, 59),
            "calling_rules": CallingRules.LEGAL,
            "calling_countries": daytime.COUNTRIES,
            "legal_name": "Northwind Robotics, Inc.",
            "calls_per_second": 2.0,
            "transfer_number": "+14155550177",
        },
    )
    if made:
        workspaces.give_secret(workspace)
    return workspace


def _user(workspace: Workspace, password: str) -> tuple[User, str]:
    user = User.objects.filter(email=EMAIL).first()
    if user is None:
        password = password or secrets.token_urlsafe(9)
        user = User.objects.create_superuser(EMAIL, password, name="Demo owner")
    else:
        password = ""
    Membership.objects.get_or_create(workspace=workspace, user=user, defaults={"role": Role.OWNER})
    return user, password


def _agent(workspace: Workspace, calendar: Calendar) -> Agent:
    agent = Agent.objects.filter(workspace=workspace, slug="ava").first()
    if agent is not None:
        return agent
    profile, _ = VoiceProfile.objects.get_or_create(
        workspace=workspace,
        name="Ava",
        defaults={"voice": "marin", "keywords": ["Northwind", "Ava", "warehouse management system"]},
    )
    return agents.create(
        workspace,
        {
            "name": "Ava",
            "slug": "ava",
            "profile_id": profile.pk,
            "calendar_id": calendar.pk,
            "system_prompt": PROMPT,
            "objective": "Find out whether they have a project this year and book a meeting with a specialist.",
            "criteria": CRITERIA,
            "tools": list(agents.TOOL_NAMES),
            "note": "First version",
        },
        "system:demo",
    )
