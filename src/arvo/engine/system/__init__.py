"""System: the handlers of one application, and the lint of their wiring."""
