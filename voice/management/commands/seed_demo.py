"""`manage.py seed_demo`: the demo workspace, and a key to it."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from tenex.webhooks.services import secrets
from voice.services import demo_data


class Command(BaseCommand):
    help = "Make the demo workspace (agent, voice, number, leads, knowledge, calendar) and mint an API key."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--webhook-url", default="", help="Subscribe this address to all events.")
        parser.add_argument("--password", default="", help="Of the user, if it does not exist yet.")
        parser.add_argument("--json", action="store_true", help="Print one JSON line.")

    def handle(self, *args: Any, **options: Any) -> None:
        demo = demo_data.seed(webhook_url=options["webhook_url"], password=options["password"])
        facts = {
            "workspace_id": str(demo.workspace.pk),
            "email": demo.user.email,
            "password": demo.password,
            "api_key": demo.api_key,
            "agent_id": str(demo.agent.pk),
            "number": demo.number.e164,
            "phones": demo.phones,
            "webhook": demo.subscription
            and {
                "id": str(demo.subscription.pk),
                "url": demo.subscription.url,
                "secret": secrets.of_subscription(demo.subscription),
                "workspace_secret": secrets.of_workspace(demo.workspace),
            },
        }
        if options["json"]:
            self.stdout.write(json.dumps(facts))
            return
        self.stdout.write(f"workspace  {demo.workspace.name} ({demo.workspace.pk})")
        if demo.password:
            self.stdout.write(f"sign in    {demo.user.email} / {demo.password}")
        self.stdout.write(f"API key    {demo.api_key}")
