"""How often a number was dialed is asked before each dial.

Locks: built concurrently, calls go on being written. A build that was interrupted leaves an invalid index behind:
drop it by name, then migrate again.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False
    dependencies = [("voice", "0011_decisions")]

    operations = [
        AddIndexConcurrently(
            "call",
            models.Index(
                condition=models.Q(("direction", "outbound")), fields=["to_number"], name="call_dialed"
            ),
        ),
    ]
