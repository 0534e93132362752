"""Which rows are whose: every table belongs to workspaces, by what it refers to, or is named here.

A table of neither kind stops a backup: what nobody has thought about could hold somebody's words in plain.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from django.apps import apps
from django.db import connection, models

from tenex.errors import TenexError
from tenex.workspaces.models import Workspace

SHARED: Final = frozenset(
    {
        "auth_group", "auth_group_permissions", "auth_permission", "django_content_type",
        "voice_callingswitch", "voice_carrieraccount", "voice_carrierslot", "workspaces_keyrotation",
        "workspaces_user", "workspaces_user_groups", "workspaces_user_user_permissions",
    }
)  # fmt: skip
"""Of the installation, in plain: people who sign in (passwords are hashes), and how dialing stands."""
LEFT_OUT: Final = frozenset({"django_admin_log", "django_session", "voice_mediaprocess"})
"""Names of rows as admins saw them, browsers that are signed in, processes that live now."""
OWNED: Final = {"voice_metricsdue": 't."workspace_id"'}
"""Tables that name the workspace without a foreign key."""


class Unassigned(TenexError):
    """A table that is nobody's."""

    code = "backup_unassigned"


@dataclass(frozen=True, slots=True)
class Table:
    """`joins` lead from the table `t` to `owner`, which names the workspace; both empty if it is shared."""

    name: str
    columns: tuple[str, ...]
    joins: str = ""
    owner: str = ""

    @property
    def listed(self) -> str:
        return ", ".join(f't."{column}"' for column in self.columns)

    @property
    def select(self) -> str:
        """Rows of one workspace, whose id is the parameter; or all of them."""
        where = f" WHERE {self.owner} = %s" if self.owner else ""
        return f'SELECT {self.listed} FROM "{self.name}" t{self.joins}{where}'  # noqa: S608 - names of ours


def all_tables() -> list[Table]:
    """Those that are backed up, in the order of their names.

    Raises:
        Unassigned: a table is neither shared, nor left out, nor any workspace's.
    """
    found = []
    for model in apps.get_models(include_auto_created=True):
        name = model._meta.db_table
        if not model._meta.managed or model._meta.proxy or name in LEFT_OUT:
            continue
        if name in SHARED:
            found.append(Table(name, _columns(name)))
            continue
        path = ("", OWNED[name]) if name in OWNED else _path(model)
        if path is None:
            raise Unassigned(f"the table {name} is no workspace's: say in tenex.backup.tables whose it is")
        found.append(Table(name, _columns(name), *path))
    return sorted(found, key=lambda table: table.name)


def _path(model: type[models.Model]) -> tuple[str, str] | None:
    """The shortest way over foreign keys that are never empty: (joins, owner)."""
    todo: deque[tuple[type[models.Model], str, str]] = deque([(model, "", "t")])
    seen = {model}
    while todo:
        here, joins, alias = todo.popleft()
        if here is Workspace:
            return joins, f"{alias}.id"
        for field in here._meta.concrete_fields:
            there = field.related_model
            if not field.is_relation or field.null or not isinstance(there, type) or there in seen:
                continue
            if there is Workspace:
                return joins, f'{alias}."{field.column}"'
            seen.add(there)
            next_alias = f"j{len(seen)}"
            join = (
                f' JOIN "{there._meta.db_table}" {next_alias}'
                f' ON {next_alias}."{there._meta.pk.column}" = {alias}."{field.column}"'
            )
            todo.append((there, joins + join, next_alias))
    return None


def _columns(table: str) -> tuple[str, ...]:
    """Without those that the database makes itself."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema()"
            " AND table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position",
            [table],
        )
        return tuple(row[0] for row in cursor.fetchall())
