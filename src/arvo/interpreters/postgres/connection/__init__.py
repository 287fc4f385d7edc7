"""Connection: the URL, connections and pools, migrations, and the translation of errors."""
