"""Inside the worker: models that write token by token, as graphs whose attention keeps what was read before."""
