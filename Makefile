.PHONY: test demo bench lock proto fuzz audit

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
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --extra registry pyproject.toml -o scripts/locks/registry.lock

# A million broken inputs to every decoder; scripts/fuzz --atheris steers by coverage where that package is installed.
fuzz:
	./scripts/fuzz

# Known vulnerabilities in what is locked. Needs pip-audit, and the network: it asks a public vulnerability service.
audit:
	pip-audit --require-hashes --disable-pip -r scripts/locks/registry.lock
	pip-audit --require-hashes --disable-pip -r scripts/locks/dev.lock
