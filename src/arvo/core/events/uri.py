"""Uri: the check and the encoding of names and addresses, the same in both languages.

The rule is JavaScript's `encodeURI` (ECMA-262 §19.2.6.4). The TypeScript packages accept text that
decoding and encoding again leave unchanged.
"""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote_to_bytes

# The characters that encodeURI does not escape, apart from letters and digits.
_SAFE: Final = ";,/?:@&=+$-_.!~*'()#"
_ESCAPED: Final = re.compile(r"%[0-9A-F]{2}")
_UNESCAPED: Final = re.compile(r"[A-Za-z0-9;,/?:@&=+$_.!~*'()#-]*")


# Sources, types, addresses and the subjects of active workflows repeat.
CACHED_CHARACTERS_MAX: Final = 1024


def is_uri(text: str) -> bool:
    """Return whether *text* needs no escaping and has no malformed or needless escape.

    >>> is_uri("a%20b"), is_uri("a b"), is_uri("%zz"), is_uri("com.shop.web")
    (True, False, False, True)
    """
    return _is_short_uri(text) if len(text) <= CACHED_CHARACTERS_MAX else _is_uri(text)


def _is_uri(text: str) -> bool:
    if "%" not in text:
        return _UNESCAPED.fullmatch(text) is not None
    if text.count("%") != len(_ESCAPED.findall(text)):
        return False
    try:
        decoded = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return False
    return _encode(decoded) == text


_is_short_uri: Final = lru_cache(maxsize=4096)(_is_uri)


def encode_uri(text: str) -> str:
    """Escape the characters that need it; text that is encoded already stays as it is.

    >>> encode_uri("a b"), encode_uri(encode_uri("a b"))
    ('a%20b', 'a%20b')
    """
    return text if is_uri(text) else _encode(text)


def _encode(text: str) -> str:
    # A lone surrogate cannot be encoded: it becomes "?", and the texts then differ.
    return quote(text, safe=_SAFE, errors="replace")
