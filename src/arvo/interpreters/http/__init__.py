"""Http: events over HTTP, in and out; importing arvo loads none of it."""
