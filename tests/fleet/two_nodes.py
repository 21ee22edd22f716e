"""A Ray cluster of two nodes with a CPU each, of which one dies."""

import threading
import time
from contextlib import contextmanager

from ray.cluster_utils import Cluster


@contextmanager
def two_nodes(is_time):
    """Gives the address of the cluster; its second node is killed as soon as ``is_time()`` is true."""
    cluster = Cluster(initialize_head=True, head_node_args=dict(num_cpus=1, include_dashboard=False))
    node, killed = cluster.add_node(num_cpus=1), threading.Event()

    def kill():
        while not is_time():
            time.sleep(0.02)
        cluster.remove_node(node, allow_graceful=False)
        killed.set()

    threading.Thread(target=kill, daemon=True).start()
    try:
        yield cluster.address
    finally:
        cluster.shutdown()
    assert killed.is_set()
