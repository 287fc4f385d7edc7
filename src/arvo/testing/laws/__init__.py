"""Laws: properties of every handler and workflow, and the search for a counterexample."""
