"""Types: the Python types that JSON can hold, and their JSON Schema."""
