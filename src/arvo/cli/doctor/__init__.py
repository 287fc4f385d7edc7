"""doctor: the checks of `arvo doctor`, each of which returns findings and changes nothing."""
