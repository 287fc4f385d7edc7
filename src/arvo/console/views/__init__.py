"""Views: what each page shows, as frozen values made of the values of a client."""
