"""gRPC's own lines on standard error, one for each handshake that failed: thousands an hour where a certificate is wrong, beside
the one line of this client's log. What the process has chosen itself in ``GRPC_VERBOSITY`` stays. Imported before gRPC is."""

import os

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
