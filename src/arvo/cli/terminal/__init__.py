"""What commands read from a shell and print there."""
