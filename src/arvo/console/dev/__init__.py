"""Dev: the pages that the console has in `arvo dev` alone."""
