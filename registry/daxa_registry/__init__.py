"""The registry and its evaluators: what DAXA and the parties beside it run."""

import os

# gRPC cannot forbid TLS 1.2, so with it only suites that are forward secret and authenticated: RFC 7525's four.
# It reads this once, when it is imported; set here, before that, it also overrules what the environment holds.
os.environ["GRPC_SSL_CIPHER_SUITES"] = ":".join(
    (
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384",
    )
)
