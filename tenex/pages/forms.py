"""What a page's forms send."""

from django.http import QueryDict

from tenex.errors import InvalidInput
from tenex.rest.errors import QueryInvalid


def filled(sent: QueryDict) -> QueryDict:
    """Without the fields that were left empty: a form sends those too, and an empty filter is none."""
    kept = sent.copy()
    for name in [name for name, value in sent.items() if not str(value).strip()]:
        del kept[name]
    return kept


def problems(exc: InvalidInput | QueryInvalid) -> list[str]:
    """What is wrong with the fields that were sent, a line for each."""
    if isinstance(exc, QueryInvalid):
        return [f"{name}: {' '.join(texts)}" for name, texts in exc.errors.items()]
    return [f"{exc.loc[-1]}: {exc.detail}"]
