"""The agent of a call, beside its version.

Locks: the new column is null, so neither the table nor the foreign key is scanned; ACCESS EXCLUSIVE on
voice_call and SHARE ROW EXCLUSIVE on voice_agent for a moment. The trigger also serves processes of the
release before, which know nothing of the column. Old rows follow in the next migration.
"""

import django.db.models.deletion
from django.db import migrations, models

TRIGGER = """
CREATE FUNCTION voice_call_agent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.agent_id := (SELECT agent_id FROM voice_agentversion WHERE id = NEW.agent_version_id);
  RETURN NEW;
END $$;
CREATE TRIGGER call_agent BEFORE INSERT OR UPDATE OF agent_version_id, agent_id ON voice_call
FOR EACH ROW EXECUTE FUNCTION voice_call_agent();
"""


class Migration(migrations.Migration):

    dependencies = [("voice", "0003_pacer")]

    operations = [
        migrations.AddField(
            model_name="call",
            name="agent",
            field=models.ForeignKey(
                db_index=False,
                editable=False,
                help_text="The version's agent: set by a trigger, so that lists by agent are one index scan.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="calls",
                to="voice.agent",
            ),
        ),
        migrations.RunSQL(
            TRIGGER, "DROP TRIGGER call_agent ON voice_call; DROP FUNCTION voice_call_agent();"
        ),
    ]
