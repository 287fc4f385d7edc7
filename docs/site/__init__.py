"""Site: the extension of Sphinx that makes the pages in docs/ a site."""
