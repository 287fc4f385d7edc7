"""Encrypted: the codec that encrypts contents with AES-GCM."""

import hmac
import os
from collections.abc import Callable, Mapping
from typing import Final, final

from attrs import astuple, field, frozen

from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.extras import needs_extra
from arvo.interpreters.codecs.codec import Codec, Place, Undecodable

with needs_extra("encrypted"):
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# The first byte of an encrypted text, which no JSON text begins with; then one byte with the length
# of the key id, the key id, the salt, the nonce, and the text with its tag.
_HEAD: Final = b"\xa1"
_SALT_BYTES: Final = 12
# NIST SP 800-38D §8.2.
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_KEY_ID_BYTES_MAX: Final = 255


def encrypted(
    keys: Mapping[str, bytes],
    *,
    key_for: Callable[[Place], str] | None = None,
    reads_clear: bool = False,
) -> Codec:
    """Make a codec that encrypts with AES-256-GCM.

    *keys*: keys of 32 bytes, by an id that is stored with each text in the clear. The first one
    encrypts, each of them decrypts. *key_for*: a pure function that returns the id of the key for a
    place in place of the first one, such as that of a tenant. *reads_clear*: read contents that
    were written without encryption too, until all of them were written anew.

    A text is bound to its place: elsewhere it does not decrypt. Raises `Violated` for a bad key.
    """
    issues = [issue for name, key in keys.items() for issue in _check(name, key)]
    if not keys:
        issues.append(Issue("keys", "a key of 32 bytes, by its id", "none"))
    if issues:
        raise Violated(ConfigViolation("encrypted() has no usable keys", tuple(issues)))
    return _Encrypted(dict(keys), key_for, reads_clear)


@final
@frozen(repr=False)
class _Encrypted:
    keys: Mapping[str, bytes]
    key_for: Callable[[Place], str] | None
    reads_clear: bool
    _first: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_first", next(iter(self.keys)))

    def encode(self, content: bytes, place: Place) -> bytes:
        name = self._first if self.key_for is None else self.key_for(place)
        key = self.keys.get(name)
        if key is None:
            expected = f"the id of a key ({self._known()})"
            issue = Issue("key_for", expected, short_repr(name))
            raise Violated(ConfigViolation(f"no key encrypts the {place.kind}", issue))
        encoded = name.encode()
        head = _HEAD + bytes((len(encoded),)) + encoded
        random = os.urandom(_SALT_BYTES + _NONCE_BYTES)
        salt, nonce = random[:_SALT_BYTES], random[_SALT_BYTES:]
        text = AESGCM(_derive(key, salt)).encrypt(nonce, content, _bound(head, place))
        return head + random + text

    def decode(self, content: bytes, place: Place) -> bytes:
        if not content.startswith(_HEAD):
            if self.reads_clear:
                return content
            remedy = "to read what was written before, write encrypted(keys, reads_clear=True)"
            raise _undecodable(place, f"is not encrypted: {remedy}")
        end = 2 + content[1] if len(content) > 1 else 2
        head, name = content[:end], content[2:end].decode(errors="replace")
        key = self.keys.get(name)
        if key is None:
            known = f"this process has {self._known()}"
            raise _undecodable(place, f"needs the key {name!r}, add it to the keys: {known}")
        salt, nonce = content[end : end + _SALT_BYTES], content[end + _SALT_BYTES :][:_NONCE_BYTES]
        text = content[end + _SALT_BYTES + _NONCE_BYTES :]
        try:
            return AESGCM(_derive(key, salt)).decrypt(nonce, text, _bound(head, place))
        except (InvalidTag, ValueError) as error:
            reason = f"it was changed, it was moved here, or {name!r} is another key"
            raise _undecodable(place, f"cannot be decrypted: {reason}") from error

    def _known(self) -> str:
        return ", ".join(map(repr, self.keys))


def _derive(key: bytes, salt: bytes) -> bytes:
    """Return the key of one text.

    HKDF-Expand (RFC 5869 §2.3) for one block. With one key for all texts, random nonces would allow
    2^32 of them only (NIST SP 800-38D §8.3), which a busy system writes in some weeks.
    """
    return hmac.digest(key, b"arvo codec 1" + salt + b"\x01", "sha256")


def _bound(head: bytes, place: Place) -> bytes:
    """Return the authenticated bytes of a text: its head and its place, each part with its length,
    so that no two places are the same bytes.
    """
    parts = [part.encode(errors="surrogatepass") for part in astuple(place)]
    return b"".join((head, *(len(part).to_bytes(4, "big") + part for part in parts)))


def _check(name: object, key: object) -> list[Issue]:
    issues: list[Issue] = []
    if not isinstance(name, str) or not 0 < len(name.encode()) <= _KEY_ID_BYTES_MAX:
        issues.append(Issue("keys", "an id of 1 to 255 bytes", short_repr(name)))
    if not isinstance(key, bytes) or len(key) != _KEY_BYTES:
        # Not the key itself: this text may be logged.
        size = f"{len(key)} bytes" if isinstance(key, bytes) else type(key).__name__
        expected = "32 bytes, such as bytes.fromhex() of what `openssl rand -hex 32` prints"
        issues.append(Issue(f"keys[{short_repr(name)}]", expected, size))
    return issues


def _undecodable(place: Place, reason: str) -> Undecodable:
    named = f" {place.id}" if place.id else ""
    return Undecodable(f"the {place.kind}{named} of {place.subject} {reason}")
