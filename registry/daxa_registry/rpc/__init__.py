"""The wire's side of the registry and the evaluator: servers, peers, errors, one file a service."""
