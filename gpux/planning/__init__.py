"""What will run, and why nothing else: records, what makes a candidate fit, and the pure choice."""

from gpux.planning.choice import choose
from gpux.planning.fitness import cannot_open, good_enough, proof_key, stands
from gpux.planning.following import free
from gpux.planning.records import (
    ANY,
    AUTO,
    Candidate,
    Measured,
    Plan,
    Proof,
    ProofKey,
    Rejected,
    Request,
)

__all__ = [
    "ANY",
    "AUTO",
    "Candidate",
    "Measured",
    "Plan",
    "Proof",
    "ProofKey",
    "Rejected",
    "Request",
    "cannot_open",
    "choose",
    "free",
    "good_enough",
    "proof_key",
    "stands",
]
