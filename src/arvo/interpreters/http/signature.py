"""Signature: requests and responses that their senders have signed, by Standard Webhooks.

See https://www.standardwebhooks.com. A signature covers the id, the time and the body of a message.
"""

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, final

import standardwebhooks
from attrs import field, frozen
from starlette.authentication import SimpleUser
from starlette.responses import Response

from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.http.header import Headers

# Standard Webhooks, "Symmetric": 24 to 64 random bytes, in base64 behind this prefix.
_SECRET: Final = re.compile(r"whsec_([A-Za-z0-9+/]+={0,2})")
_BYTES_MIN, _BYTES_MAX = 24, 64
_HEADERS: Final = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature"})


@final
@frozen
class Secrets:
    """The secrets that two systems share: each signs, and a message that any has signed is
    authentic. So one can be replaced by another while messages are under way.
    """

    _keys: tuple[standardwebhooks.Webhook, ...] = field(repr=False)

    @classmethod
    def parse(cls, secrets: str | Sequence[str]) -> "Secrets":
        """Read one secret or several; raises `Violated`, which does not show them."""
        texts = tuple(secrets) if isinstance(secrets, list | tuple) else (secrets,)
        if not texts or not all(map(_is_secret, texts)):
            expected = f"whsec_ and {_BYTES_MIN} to {_BYTES_MAX} bytes in base64"
            issue = Issue("secret", expected, "none" if not texts else "another text")
            raise Violated(ConfigViolation("a secret for signatures is needed", issue))
        return cls(tuple(map(standardwebhooks.Webhook, texts)))

    def sign(self, id: str, at: datetime, body: bytes) -> dict[str, str]:  # noqa: A002 - the standard's word
        """Return the headers that sign a message."""
        text = body.decode()
        return {
            "webhook-id": id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(key.sign(id, at, text) for key in self._keys),
        }

    def refuse(self, headers: Headers, body: bytes) -> Issue | None:
        """Return why a message is not authentic, or None.

        Its time may differ from that of this machine by five minutes: a message that is repeated
        later is refused, and before that its events are duplicates.
        """
        signed, reason = _signature_headers(headers), ""
        for key in self._keys:
            try:
                key.verify(body, signed, json_parse=False)
            except (standardwebhooks.WebhookVerificationError, ValueError) as error:
                # A `ValueError`: the body is no text, or the signature no base64.
                reason = short_repr(str(error))
            else:
                return None
        return Issue("webhook-signature", "a signature by Standard Webhooks", reason)


@final
@frozen
class Partner:
    """A partner that has signed a request, the message *id*."""

    name: str
    secrets: Secrets
    id: str

    @property
    def user(self) -> SimpleUser:
        """The partner as a user of Starlette."""
        return SimpleUser(self.name)

    def sign(self, response: Response) -> None:
        """Sign the response, which has the id of the request, by the secrets of the partner."""
        response.headers.update(self.secrets.sign(self.id, utc_now(), bytes(response.body)))


@final
@frozen
class Partners:
    """The partners that may send requests, by name."""

    by_name: Mapping[str, Secrets]

    @classmethod
    def parse(cls, secrets: Mapping[str, str | Sequence[str]]) -> "Partners":
        """Read the secrets of each partner; raises `Violated` as `Secrets.parse` does."""
        return cls({name: Secrets.parse(texts) for name, texts in secrets.items()})

    def identify(self, headers: Headers, body: bytes) -> Partner | Issue:
        """Return the partner that has signed a request, or why none has."""
        issue = Issue("secrets", "a partner", "none")
        for name, secrets in self.by_name.items():
            refused = secrets.refuse(headers, body)
            if refused is None:
                return Partner(name, secrets, _signature_headers(headers)["webhook-id"])
            issue = refused
        return issue


def webhook_id(event: Event[Any]) -> str:
    """Return the id of the message that carries an event, the same each time that it is posted.

    Not the event's own id: only with the source it is unique, and neither need fit into a header.
    """
    text = f"{len(event.source)}:{event.source}{event.id}"
    return f"msg_{blake2b(text.encode(), digest_size=16).hexdigest()}"


def _signature_headers(headers: Headers) -> dict[str, str]:
    decoded = ((name.decode("latin-1").lower(), value) for name, value in headers)
    return {name: value.decode("latin-1") for name, value in decoded if name in _HEADERS}


def _is_secret(text: object) -> bool:
    match = _SECRET.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return False
    try:
        return _BYTES_MIN <= len(b64decode(match[1], validate=True)) <= _BYTES_MAX
    except ValueError:
        return False
