"""Key material: shares of the fingerprinting keys, and the certificates that peers are known by."""
