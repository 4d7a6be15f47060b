"""What DAXA runs: decision, keys, store, service, rpc, cli."""
