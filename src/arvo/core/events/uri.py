"""Uri: the check and the encoding that both languages put on names and addresses.

The rule is JavaScript's `encodeURI` (ECMA-262 §19.2.6.4): the reference accepts a text that comes
out of decoding and encoding as it went in (F005).
"""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote_to_bytes

# What encodeURI leaves alone beside letters and digits.
_KEPT: Final = ";,/?:@&=+$-_.!~*'()#"
_ESCAPED: Final = re.compile(r"%[0-9A-F]{2}")
_UNESCAPED: Final = re.compile(r"[A-Za-z0-9;,/?:@&=+$_.!~*'()#-]*")


# Sources, types and addresses come again and again; subjects mostly do not, so the cache is
# bounded.
@lru_cache(maxsize=4096)
def is_uri(text: str) -> bool:
    """Tell whether *text* is properly encoded: nothing to escape, no malformed or needless escape.

    >>> is_uri("a%20b"), is_uri("a b"), is_uri("%zz"), is_uri("com.shop.web")
    (True, False, False, True)
    """
    if "%" not in text:
        return _UNESCAPED.fullmatch(text) is not None
    if text.count("%") != len(_ESCAPED.findall(text)):
        return False
    try:
        decoded = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return False
    return _encoded(decoded) == text


def encode_uri(text: str) -> str:
    """Escape what must be escaped, and only that: what is encoded already stays (B26).

    >>> encode_uri("a b"), encode_uri(encode_uri("a b"))
    ('a%20b', 'a%20b')
    """
    return text if is_uri(text) else _encoded(text)


def _encoded(text: str) -> str:
    # Half of a surrogate pair cannot be encoded; it becomes "?", which is then no match.
    return quote(text, safe=_KEPT, errors="replace")
