.PHONY: test demo bench lock proto fuzz audit crash

test:
	./scripts/test

demo:
	./scripts/demo

bench:
	./scripts/bench

proto:
	./scripts/gen_proto

# Names, versions and hashes; no addresses. Needs uv.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --extra registry --extra dev pyproject.toml -o scripts/locks/dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --extra registry --extra demo pyproject.toml -o scripts/locks/demo.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --extra registry --extra postgres pyproject.toml -o scripts/locks/registry.lock

# A million broken inputs to every decoder, hypothesis, and atheris where it has a wheel for this Python.
fuzz:
	./scripts/fuzz

# Known vulnerabilities in what is locked. It needs a network that reaches a public vulnerability service; where that cannot be
# asked it says NOT AUDITED and fails, for then nothing is known.
audit:
	./scripts/audit

# 200 kills under load, and everything else that goes wrong, on both stores; a quarter of an hour. The tests run a short form.
crash:
	./scripts/crash --kills 100
