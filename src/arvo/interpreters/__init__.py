"""interpreters: who carries it out."""
