"""Archive: the finished workflows that a store has forgotten, in a file."""
