"""Two labels for the nodes of a graph, of the least energy there is, by a maximum flow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from floodloom.arrays import Doubles, Mask

SCALE = 1000
"""Capacities are whole numbers: energies are rounded to a thousandth."""

Nodes = NDArray[np.int64]


def least_energy(unary: Doubles, edges: Nodes, weights: Doubles) -> Mask:
    """Return the labels of the least energy.

    E(x) = sum_i unary_i [x_i] + sum_ij weights_ij [x_i != x_j]

    Parameters
    ----------
    unary
        (node,) energy of the label True above that of False, of any sign: of water, the log-odds of
        land.
    edges
        (edge, 2) int64 pairs of nodes.
    weights
        (edge,) 0 or more: what two different labels cost.

    Returns
    -------
    ndarray
        (node,) bool: a labelling of the least energy, with unary and weights rounded to 1 / 1000.
        Of several such, that with the fewest nodes that are False.

    References
    ----------
    Greig, Porteous and Seheult (1989), Exact maximum a posteriori estimation for binary images,
    JRSS B 51(2), 271-279. Boykov and Jolly (2001), Interactive graph cuts for optimal boundary and
    region segmentation of objects in N-D images, ICCV, 105-112. The flow is Dinic's, of SciPy.
    """
    number = len(unary)
    source, sink = number, number + 1
    graph = _capacities(unary, edges, weights)
    residual = csr_array(graph - maximum_flow(graph, source, sink).flow)
    residual.eliminate_zeros()
    reached = breadth_first_order(residual, source, return_predecessors=False)
    found = np.ones(number + 2, dtype=bool)
    found[reached] = False
    return found[:number]


def energy(labels: Mask, unary: Doubles, edges: Nodes, weights: Doubles) -> float:
    """Return the energy of labels (node,), as `least_energy` has it."""
    differ = labels[edges[:, 0]] != labels[edges[:, 1]]
    return float(unary[labels].sum() + weights[differ].sum())


def _capacities(unary: Doubles, edges: Nodes, weights: Doubles) -> csr_array:
    """Capacities of a graph whose source side is False, (node + 2, node + 2) int32."""
    number = len(unary)
    cost = np.rint(SCALE * unary).astype(np.int32)
    bond = np.rint(SCALE * weights).astype(np.int32)
    nodes = np.arange(number)
    dear, cheap = nodes[cost > 0], nodes[cost < 0]
    begin = [np.full(len(dear), number), cheap, edges[:, 0], edges[:, 1]]
    end = [dear, np.full(len(cheap), number + 1), edges[:, 1], edges[:, 0]]
    capacity = np.concatenate([cost[dear], -cost[cheap], bond, bond])
    pairs = (np.concatenate(begin), np.concatenate(end))
    return coo_array((capacity, pairs), shape=(number + 2, number + 2)).tocsr()
