"""Proxy: an object that passes on to another one what it does not define, for every Python."""

from typing import Any, final

from attrs import frozen


def show_attributes(proxy: Any, subject: object) -> None:
    """Let *proxy*, which has `__getattr__`, be an instance of the protocols of *subject*.

    From Python 3.12 on, `isinstance` with a protocol looks at the attributes of the class and does
    not call `__getattr__`: the optional operations of the subject would seem to be missing. So the
    class of the proxy gets a descriptor for each public attribute that it has in this way.
    """
    kind, own = type(proxy), dir(proxy)
    names = (name for name in dir(subject) if not name.startswith("_") and name not in own)
    shown = {name: _Shown(name) for name in names if hasattr(proxy, name)}
    proxy.__class__ = type(kind.__name__, (kind,), {"__slots__": (), **shown})


@final
@frozen
class _Shown:
    """An attribute of a class that `__getattr__` reads. An instance may have another one."""

    name: str

    def __get__(self, proxy: Any, kind: type) -> Any:
        return self if proxy is None else proxy.__getattr__(self.name)
