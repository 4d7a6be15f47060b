"""The shared kernel: words, canonical forms, the group, the oblivious function and its threshold. No I/O, no gRPC."""
