"""What a client would rather have, by its Accept and Accept-Encoding fields (RFC 9110 section 12)."""

import re
from collections.abc import Mapping, Sequence

from starlette.types import Scope

from core.http.messages import values

LONGEST_FIELD = 1000  # characters that are looked at
WEIGHT = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")


def media(scope: Scope, offers: Sequence[str]) -> str:
    """The media type of `offers` that Accept weighs most; of equals, and where it wants none, the first."""
    wanted = weights(scope, b"accept")

    def weight(offer: str) -> float:
        whole = wanted.get("*/*", 0.0)
        return wanted.get(offer, wanted.get(f"{offer.partition('/')[0]}/*", whole))

    return max(offers, key=weight)


def coding(scope: Scope, offers: Sequence[str]) -> str:
    """The content coding of `offers` that Accept-Encoding weighs most; of equals the first, of none "" (identity)."""
    wanted = weights(scope, b"accept-encoding")
    others = wanted.get("*", 0.0)
    best = max(offers, key=lambda offer: wanted.get(offer, others))
    weight = wanted.get(best, others)
    return best if weight and weight >= wanted.get("identity", 0.0) else ""


def weights(scope: Scope, name: bytes) -> Mapping[str, float]:
    """Each choice that a field names, in lower case, and its weight from 0 to 1 (section 12.4.2)."""
    field = b",".join(values(scope, name)).decode("latin-1")[:LONGEST_FIELD].lower()
    found: dict[str, float] = {}
    for choice in field.split(","):
        token, *parameters = (part.strip() for part in choice.split(";"))
        said = [parameter for parameter in parameters if parameter.startswith("q=")]
        weight = WEIGHT.fullmatch(said[0]) if said else None
        found[token] = float(weight[1]) if weight else float(not said)
    return found
