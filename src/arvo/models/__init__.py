"""Models: those of providers, for the roles of agents (extra `agents`)."""

from arvo.extras import needs_extra

with needs_extra("arvo.models"):
    import pydantic_ai as _pydantic_ai  # noqa: F401 - the extra

from arvo.models.model import Delta, model

__all__ = ["Delta", "model"]
