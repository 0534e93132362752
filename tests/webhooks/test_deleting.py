"""A subscription is deleted while the result of one of its deliveries is being written."""

import threading
import time

import pytest
from django.db import connection, transaction

from tenex.webhooks.models import Delivery, DeliveryAttempt, WebhookSubscription
from tenex.webhooks.services import relay, subscriptions
from tenex.workspaces.models import Workspace
from tests.webhooks.drive import ACTOR, record, subscribe
from tests.webhooks.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_waits_for_a_result_that_is_being_written(workspace: Workspace, receiver: Receiver) -> None:
    lane = subscribe(workspace, receiver.url)
    record(workspace)
    relay.relay()
    delivery = Delivery.objects.get()
    begun = threading.Event()

    def writes_a_result() -> None:
        """As a delivery does: its row, the log, then the lane."""
        try:
            with transaction.atomic():
                Delivery.objects.select_for_update(no_key=True).get(pk=delivery.pk)
                DeliveryAttempt.objects.create(delivery=delivery, number=1, duration_ms=1)
                begun.set()
                time.sleep(0.5)
                WebhookSubscription.objects.select_for_update(no_key=True).get(pk=lane.pk)
        finally:
            connection.close()

    writer = threading.Thread(target=writes_a_result)
    writer.start()
    assert begun.wait(10)
    subscriptions.delete(lane, ACTOR)
    writer.join()
    assert not WebhookSubscription.objects.exists()
    assert not Delivery.objects.exists()
    assert not DeliveryAttempt.objects.exists()
