"""flow: workflows written as generators, made durable by a journal and its replay."""
