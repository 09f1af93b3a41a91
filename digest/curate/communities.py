"""Groups in a net of links: the Louvain method (Blondel et al. 2008, "Fast unfolding of communities…")."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

_PASSES = 12  # over all nodes in one round; the rest would move little

_Net = Mapping[int, Mapping[int, float]]


def communities(links: _Net, *, resolution: float = 1.0) -> list[list[int]]:
    """Nodes that are linked among each other more than to others, the largest group first.

    `links` have a weight in both directions. A higher `resolution` gives smaller groups. The same net gives the same
    groups: nodes are looked at in their order.
    """
    nodes = sorted(links)
    place = {node: at for at, node in enumerate(nodes)}
    groups = [[node] for node in nodes]
    net: _Net = {place[node]: {place[other]: weight for other, weight in links[node].items()} for node in nodes}
    while True:
        home = _moved(net, resolution)
        if len(set(home.values())) == len(net):
            break
        names = {old: new for new, old in enumerate(sorted(set(home.values())))}
        merged: list[list[int]] = [[] for _ in names]
        for at, members in enumerate(groups):
            merged[names[home[at]]] += members
        groups = merged
        net = _folded(net, {at: names[old] for at, old in home.items()})
    return sorted((sorted(group) for group in groups), key=lambda group: (-len(group), group))


def _moved(net: _Net, resolution: float) -> dict[int, int]:
    """To which group each node goes, one after the other, until none gains by moving."""
    degree = {node: sum(others.values()) for node, others in net.items()}
    whole = sum(degree.values()) or 1.0
    home = {node: node for node in net}
    inside = dict(degree)  # of each group: the degrees of its nodes
    for _pass in range(_PASSES):
        settled = True
        for node, others in net.items():
            mine = home[node]
            inside[mine] -= degree[node]
            to: dict[int, float] = defaultdict(float)
            to[mine] = 0.0
            for other, weight in others.items():
                if other != node:
                    to[home[other]] += weight
            best = max(to, key=lambda g: (to[g] - resolution * inside[g] * degree[node] / whole, g == mine, -g))
            inside[best] += degree[node]
            if best != mine:
                home[node] = best
                settled = False
        if settled:
            break
    return home


def _folded(net: _Net, group: Mapping[int, int]) -> _Net:
    """The net between groups; what is within one is a link to itself."""
    folded: dict[int, dict[int, float]] = {number: defaultdict(float) for number in sorted(set(group.values()))}
    for node, others in net.items():
        for other, weight in others.items():
            folded[group[node]][group[other]] += weight
    return folded
