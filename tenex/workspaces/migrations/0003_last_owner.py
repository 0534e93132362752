"""The database itself refuses that a workspace loses its last owner.

A deferred trigger: it looks when the transaction is about to commit, so that swapping two owners is fine, and it
takes the workspace's lock first, so that of two owners who remove each other at the same time one is refused.
A workspace that is deleted takes its members along.
"""

from django.db import migrations

CREATE = """
CREATE FUNCTION workspaces_keep_an_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM workspaces_workspace WHERE id = OLD.workspace_id FOR NO KEY UPDATE;
  IF FOUND AND NOT EXISTS (
    SELECT 1 FROM workspaces_membership WHERE workspace_id = OLD.workspace_id AND role = 'owner'
  ) THEN
    RAISE EXCEPTION 'workspace % would have no owner', OLD.workspace_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'membership_last_owner';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER membership_last_owner
  AFTER DELETE OR UPDATE OF role, workspace_id ON workspaces_membership
  DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (OLD.role = 'owner') EXECUTE FUNCTION workspaces_keep_an_owner();
"""
DROP = """
DROP TRIGGER membership_last_owner ON workspaces_membership;
DROP FUNCTION workspaces_keep_an_owner();
"""


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0002_members")]

    operations = [migrations.RunSQL(CREATE, DROP)]
