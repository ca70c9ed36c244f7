"""The families of the matrix that ``scripts/validate`` proves: their records, and what writes a Hub-like directory of one."""

from __future__ import annotations

from families.record import Family


def families() -> tuple[Family, ...]:
    """Every family, in the order of the matrix."""
    from families import audio, generation, hearing, pairs, real, rewriting, seeing, text, vision

    return (
        *real.FAMILIES,
        *text.FAMILIES,
        *vision.FAMILIES,
        *audio.FAMILIES,
        *pairs.FAMILIES,
        *generation.FAMILIES,
        *rewriting.FAMILIES,
        *hearing.FAMILIES,
        *seeing.FAMILIES,
    )


def find(name: str) -> Family:
    """The family of that name; ``KeyError`` where there is none."""
    return {family.name: family for family in families()}[name]
