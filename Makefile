.PHONY: test demo bench lock proto

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
