"""Vocabulary: which descriptors of a chart an event type answers to."""

from collections.abc import Iterable, Mapping

from attrs import frozen

# The class of an event: its matching descriptors, in the order in which a node tries them.
EventClass = tuple[str, ...]


@frozen(eq=False)
class Vocabulary:
    """All descriptors of one chart, sorted for matching."""

    exact: Mapping[str, EventClass]
    wildcards: tuple[tuple[str, str], ...]  # descriptor and prefix, longest first

    @classmethod
    def of(cls, descriptors: Iterable[str]) -> "Vocabulary":
        """Sort *descriptors*; two wildcards of one length never match the same type."""
        known = dict.fromkeys(descriptors)
        stars = sorted((d for d in known if d == "*" or d.endswith(".*")), key=len, reverse=True)
        blank = cls({}, tuple((star, star.removesuffix("*").removesuffix(".")) for star in stars))
        exact = {d: (d, *(w for w in blank.classify(d) if w != d)) for d in known}
        return cls(exact, blank.wildcards)

    def classify(self, type: str) -> EventClass:  # noqa: A002
        """Find the class of *type*: the exact descriptor, then wildcards, longest first.

        Unknown types share the few classes that wildcards make, so hostile names fill no cache.
        """
        found = self.exact.get(type)
        if found is not None:
            return found
        return tuple(
            star
            for star, prefix in self.wildcards
            if star == "*" or type == prefix or type.startswith(prefix + ".")
        )
