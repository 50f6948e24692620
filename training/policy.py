"""How thresholds are to be chosen, as a recipe and a command line say it."""

POLICIES = "f1, precision@P or fixed:T, P and T in (0, 1]"


def parse(policy: str) -> tuple[str, float]:
    """`f1`, `precision` or `fixed`, and the number that it has; 0 for `f1`, which has none.

    Raises:
        ValueError: it is none of them.
    """
    if policy == "f1":
        return policy, 0.0
    for kind, mark in (("precision", "@"), ("fixed", ":")):
        if policy.startswith(kind + mark):
            return kind, _share(policy.removeprefix(kind + mark), policy)
    raise ValueError(f"threshold policy {policy!r} is unknown; it takes {POLICIES}")


def _share(value: str, policy: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ValueError(f"threshold policy {policy!r} needs a number over 0 and up to 1; it takes {POLICIES}")
    return share
