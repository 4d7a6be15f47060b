"""Settings of this folder's tests."""

from hypothesis import settings

# A busy machine is no failure: what these tests prove does not depend on time.
settings.register_profile("core", deadline=None)
settings.load_profile("core")
