"""The memory of a stack while it works, for the benchmarks that run one."""

from __future__ import annotations

import threading
from pathlib import Path

from ops import processes


class Memory(threading.Thread):
    """Samples the stack's memory until `done` is set; `peak` in bytes, `parts` at the peak.

    It is the sum over the stack's processes of their proportional set size (PSS), each second.
    """

    def __init__(self, state: Path) -> None:
        super().__init__(daemon=True)
        self.state = state
        self.done = threading.Event()
        self.peak = 0
        self.parts: dict[str, int] = {}

    def run(self) -> None:
        while not self.done.wait(1):
            parts: dict[str, int] = {}
            for pid in processes.of_stack(self.state):
                try:
                    name = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:60]
                    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                except OSError:
                    continue
                pss = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
                parts[f"{pid} {name}"] = int(pss.split()[1]) * 1024
            if sum(parts.values()) > self.peak:
                self.peak, self.parts = sum(parts.values()), parts

    def tell(self) -> None:
        """Print the peak, and the largest processes at that moment."""
        print(f"peak memory of the stack: {self.peak / 1024**3:.2f} GB (PSS), of which")
        for name, size in sorted(self.parts.items(), key=lambda part: -part[1])[:8]:
            print(f"  {size / 1024**2:8.0f} MB  {name}")
