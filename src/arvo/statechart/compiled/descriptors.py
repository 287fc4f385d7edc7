"""Descriptors: the event descriptors of a chart, and the matching of event types to them."""

from collections.abc import Iterable, Mapping

from attrs import frozen

# The descriptors that match an event type, in the order in which a node tries them.
MatchedDescriptors = tuple[str, ...]


@frozen(eq=False)
class EventDescriptors:
    """All event descriptors of one chart, sorted for matching."""

    exact: Mapping[str, MatchedDescriptors]
    wildcards: tuple[tuple[str, str], ...]  # descriptor and prefix, longest first

    @classmethod
    def of(cls, descriptors: Iterable[str]) -> "EventDescriptors":
        """Sort *descriptors*. Two wildcards of one length never match the same type."""
        known = dict.fromkeys(descriptors)
        stars = sorted((d for d in known if d == "*" or d.endswith(".*")), key=len, reverse=True)
        wildcards = tuple((star, star.removesuffix("*").removesuffix(".")) for star in stars)
        only_wildcards = cls({}, wildcards)
        exact = {d: (d, *(w for w in only_wildcards.match(d) if w != d)) for d in known}
        return cls(exact, wildcards)

    def match(self, type: str) -> MatchedDescriptors:  # noqa: A002
        """Return the descriptors that match *type*: the exact one, then wildcards, longest first.

        Types that the chart does not name share the few results that its wildcards allow, so
        hostile event types cannot fill a cache.
        """
        matched = self.exact.get(type)
        if matched is not None:
            return matched
        return tuple(
            star
            for star, prefix in self.wildcards
            if star == "*" or type == prefix or type.startswith(prefix + ".")
        )
