"""Pictures: draws charts in processes of their own, and holds what was drawn."""
