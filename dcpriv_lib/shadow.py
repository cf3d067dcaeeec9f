"""Shadow models: copies of the target whose members the attacker knows (Shokri et al. 2017)."""

import numpy as np


def shadow_split(attacker: np.ndarray, ds: int, number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the members and the non-members of shadow model `number`.

    The attacker's data are shuffled; the first `ds` are members, the next `ds` are not.
    With ``seed = 0`` the shuffle is seeded with `number`, as in the paper.

    Parameters
    ----------
    attacker : int64 indices of the attacker's data.
    ds : members (and non-members) of one shadow model.
    number : 0 to 999.

    Returns
    -------
    Two int64 arrays [ds], disjoint subsets of `attacker`.

    Raises
    ------
    ValueError
        If twice `ds` exceeds the attacker's data.
    """
    if not 1 <= ds <= len(attacker) // 2:
        raise ValueError(f"ds = {ds}: a shadow model needs ds members and ds non-members, and the attacker "
                         f"has {len(attacker):,} images: choose ds between 1 and {len(attacker) // 2:,}")
    shuffled = np.random.RandomState(1000 * seed + number).permutation(attacker)
    return shuffled[:ds], shuffled[ds:2 * ds]
