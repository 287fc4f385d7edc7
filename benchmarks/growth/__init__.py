"""Growth: what a reply, a handler, a step, a timer costs where there are many of them."""
