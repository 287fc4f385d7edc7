"""Events: the CloudEvents envelope, and the parts that it is made of."""
