"""Reading what a scrape gets."""

import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

TOKEN = "a-token-of-some-length"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}


def samples(text: str) -> list[Sample]:
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def value(text: str, name: str, **labels: str) -> float | None:
    """The sum of the samples of that name with these labels among theirs; None without any."""
    found = [one.value for one in samples(text) if one.name == name and labels.items() <= one.labels.items()]
    return sum(found) if found else None


def get(url: str, token: str = TOKEN) -> tuple[int, str]:
    """Status and body of a GET; 0 if nobody answers."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - addresses of this machine
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except OSError:
        return 0, ""
