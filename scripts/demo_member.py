"""One exchange in the demonstration: submits its part of a simulated day, then looks its keys' verdicts up.

Started by scripts/demo as a process of its own. Prints JSON lines: progress, then the verdicts.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from daxa_client import Manner, RawSighting, RegistryClient, Verdict
from daxa_core.canonical import device_from_text
from daxa_core.errors import DaxaError

MANNERS = {"use": Manner.USED, "auth_fail": Manner.REJECTED, "allowlist": Manner.DECLARED}
BATCH = 500


def read(path: Path) -> list[RawSighting]:
    """The sightings of a file in the format of ``backtest``."""
    out = []
    for line in path.read_text("utf-8").splitlines():
        raw = json.loads(line)
        out.append(
            RawSighting(
                key=raw["key"],
                address=raw["ip"],
                hour=raw["ts"] // 3_600,
                manner=MANNERS[raw["kind"]],
                count=1 if raw["kind"] == "allowlist" else raw["count"],
                device=device_from_text(raw["device"]) if raw["device"] else None,
                holder=raw["holder"].encode() if raw["holder"] else None,
                account=raw["account"],
            )
        )
    return out


def settled(client: RegistryClient, keys: list[str]) -> dict[str, Verdict]:
    """The verdicts once none has moved for two seconds: the ladder takes one step at a time."""
    verdicts: dict[str, Verdict] = {}
    for _ in range(15):
        earlier, verdicts = verdicts, client.verdicts(keys)
        if earlier == verdicts:
            break
        time.sleep(2)
    return verdicts


def main() -> int:
    configuration, path = Path(sys.argv[1]), Path(sys.argv[2])
    sightings = read(path)
    own = sorted({s.key for s in sightings if s.manner is not Manner.REJECTED})
    with RegistryClient.from_file(configuration) as client:
        for start in range(0, len(sightings), BATCH):
            part = sightings[start : start + BATCH]
            result = client.submit(part)
            print(json.dumps({"done": len(part), "refused": len(result.refusals)}), flush=True)
        for key, verdict in settled(client, own).items():
            reasons = [[r.code, r.contribution, r.count.name] for r in verdict.reasons]
            print(json.dumps({"key": key, "level": int(verdict.level), "score": verdict.score, "reasons": reasons}))
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except DaxaError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
