"""Mail addresses: their one form, and the form that mail servers take."""

import unicodedata

LONGEST = 254  # RFC 5321 section 4.5.3.1.3, without the angle brackets; IDNA takes 75 ms for a domain of 900 letters


def one_form(address: str) -> str:
    """How an address is kept and compared: Unicode NFC, its domain in lower case and U-labels (RFC 5890).

    Raises ValueError when IDNA knows no such domain."""
    local, _, domain = unicodedata.normalize("NFC", address).rpartition("@")
    if _is_plain(domain):
        return f"{local}@{domain.lower()}"
    import idna  # most processes never meet a domain that needs it

    return f"{local}@{idna.decode(idna.encode(domain, uts46=True))}"


def ascii_form(address: str) -> str:
    """Where mail goes: the domain in A-labels (RFC 5890), which servers without SMTPUTF8 take too.

    A domain that IDNA does not know stays as it is."""
    local, _, domain = address.rpartition("@")
    if _is_plain(domain):
        return address
    import idna

    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        return address


def same_mailbox(address: str, other: str) -> bool:
    """Whether two addresses differ in nothing but how their domain is written."""
    local, _, domain = ascii_form(address).rpartition("@")
    other_local, _, other_domain = ascii_form(other).rpartition("@")
    return local == other_local and domain.lower() == other_domain.lower()


def spellings(name: str) -> list[str]:
    """Under what a username or address that somebody typed may be kept; first its one form."""
    typed = unicodedata.normalize("NFC", name.strip())
    if "@" not in typed or len(typed) > LONGEST or _is_plain(typed.rpartition("@")[2]):
        return [typed]
    try:
        return list(dict.fromkeys([one_form(typed), typed, ascii_form(typed)]))
    except ValueError:
        return [typed]


def _is_plain(domain: str) -> bool:
    return domain.isascii() and "xn--" not in domain.lower()
