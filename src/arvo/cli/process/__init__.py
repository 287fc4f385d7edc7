"""The processes of `arvo run`: supervisor, workers, probes."""
