"""`tf.distribute`: several devices or several processes that train one model."""

import functools

import tensorflow as tf

STRATEGIES = ("mirrored", "multi_worker")


def strategy(name):
    """A strategy by name, one and the same for the whole process.

    Args:
        name: `"mirrored"`, all GPUs of this machine (without one, its logical CPUs);
            `"multi_worker"`, all processes that the environment variable `TF_CONFIG`
            lists, which has to be the first that the process does with TensorFlow; or
            None for none.

    Returns:
        `tf.distribute.Strategy`.

    Raises:
        ValueError: if the name is unknown.
    """
    if name is None:
        return tf.distribute.get_strategy()
    if name not in STRATEGIES:
        raise ValueError(
            f"Expected a strategy of {STRATEGIES} or None, received {name!r}."
        )
    return _made_once(name)


@functools.cache
def _made_once(name):
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    return tf.distribute.MultiWorkerMirroredStrategy()


def _strategy_of(owner):
    return getattr(owner, "distribute_strategy", owner)


def scope(owner):
    """The context to make weights in: that of a strategy, or of a model's strategy.

    Without a strategy it has no effect.
    """
    return _strategy_of(owner).scope()


def replicas(owner):
    """Number of replicas that a batch is split over, of a strategy or a model's."""
    return _strategy_of(owner).num_replicas_in_sync


def is_chief(owner):
    """Whether this process writes the files, if several train a model together."""
    return _worker(_strategy_of(owner))[0] == 0


def _worker(strategy):
    """Number of this process among the workers of a strategy, and how many they are."""
    resolver = strategy.cluster_resolver
    spec = resolver.cluster_spec().as_dict() if resolver else {}
    chiefs, workers = (len(spec.get(job, [])) for job in ("chief", "worker"))
    if chiefs + workers < 2:
        return 0, 1
    first = chiefs if resolver.task_type == "worker" else 0
    return first + resolver.task_id, chiefs + workers


def replica():
    """Index of this replica and their number, inside or outside a strategy's scope."""
    context = tf.distribute.get_replica_context()
    if context is None:
        return 0, 1
    return context.replica_id_in_sync_group, context.num_replicas_in_sync


def over_replicas(operation, values):
    """`"SUM"` or `"MEAN"` of a structure of tensors over the replicas."""
    if replica()[1] == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce(operation, values)


def as_logs(results):
    """Scalars in the form in which Keras can average them over workers.

    It takes the mean of each worker's values along their first axis, so there has to
    be one.
    """
    _, workers = _worker(tf.distribute.get_strategy())
    return results if workers == 1 else {k: v[None] for k, v in results.items()}
