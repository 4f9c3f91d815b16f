"""What a codec must know besides the bytes (README.md, `context`)."""

from dataclasses import dataclass

from . import limits
from .errors import BadRequest

ALL_CAPABILITIES = frozenset(
    {"crdt", "packed", "compression", "query", "snapshot", "encryption"}
)
PHASES = {"handshake": limits.MAX_FRAME_BEFORE, "session": limits.MAX_FRAME}
POSITIONS = ("plain", "field", "cell")


@dataclass(frozen=True, slots=True)
class Context:
    """The defaults are those of README.md for a request without a context."""

    capabilities: frozenset[str] = ALL_CAPABILITIES
    phase: str = "session"
    position: str = "plain"

    def has(self, capability: str) -> bool:
        """Tell whether the connection agreed on a capability."""
        return capability in self.capabilities

    @property
    def frame_limit(self) -> int:
        """The frame limit in force (FRM-3)."""
        return PHASES[self.phase]

    @classmethod
    def from_json(cls, obj: object) -> "Context":
        """Read the JSON form; what it leaves out has its default."""
        if obj is None:
            return cls()
        if not isinstance(obj, dict):
            raise BadRequest("context is not an object")
        names = obj.get("capabilities", list(ALL_CAPABILITIES))
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise BadRequest("capabilities are not a list of strings")
        phase = obj.get("phase", "session")
        position = obj.get("position", "plain")
        if not isinstance(phase, str) or phase not in PHASES:
            raise BadRequest("unknown phase")
        if position not in POSITIONS:
            raise BadRequest("unknown position")
        return cls(frozenset(names), phase, position)
