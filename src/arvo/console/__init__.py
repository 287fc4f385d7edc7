"""Console: pages on which an operator sees workflows, understands them and acts on them.

Needs the extra `console`.
"""

from arvo.extras import needs_extra

with needs_extra("arvo.console"):
    from arvo.console.app import console

from arvo.console.requests.access import Allow, UserSource, Verb, act, proxy_user, read_only

__all__ = ["Allow", "UserSource", "Verb", "act", "console", "proxy_user", "read_only"]
